"""Token distillation: the rows of new tokens are fitted so that the frozen encoder reads them as it read their pieces.

Of a word that the base splits, its layers, not its word table, hold the meaning: the mean of the rows of `my ##s ##q
##l` is not what it makes of `mysql`. The base reads texts in its own tokens (the teacher), and the same encoder reads
them in the new ones (the student). The squared distance of their hidden states is minimized where the two correspond:
the token and the last of its pieces (Dobler et al. 2025, arXiv 2505.20133, section 3). Nothing but the rows of new
tokens is trained.
"""

# B rows of a batch, T tokens, U pieces of a row, N new tokens, V vocabulary, H hidden, E embeddings' width

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from safetensors import safe_open
from safetensors.numpy import save_file

from pretrain.config import PretrainConfig
from pretrain.init.contexts import PairedRows, PieceReader, choose_contexts, pair_rows
from pretrain.init.transfer import old_pieces
from pretrain.model.checkpoint import Checkpoint, load_checkpoint, with_positions
from pretrain.model.encoder import Encoder
from pretrain.ops.fused_ops import fused_op
from stackbert.core.checkpoints import resolve_base
from stackbert.core.progress import Progress
from tokenizer.encoding.packed_rows import PackedRows
from tokenizer.encoding.reader import TextReader, load_reader

FITTED_FILE = "fitted_rows.safetensors"
BATCH_ROWS = 16
PEAK_RATE = 0.15  # of Adam, in standard deviations of the word table; from 0.05 to 0.5 MiniLM's fits hardly differ
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # Adam's
WARM_UP_STEPS = 20
SUMMED_STEPS = 10  # whose mean loss is told, at both ends

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FittedRows:
    """Rows of the word table after token distillation."""

    table_NE: Floats
    """One row for each new token, in the order of ids."""
    first_loss: float
    """Mean squared distance of the hidden states in the first steps."""
    last_loss: float
    """In the last steps."""


def distill_new_tokens(
    checkpoint: Checkpoint,
    config: PretrainConfig,
    reader: TextReader,
    rows: PackedRows,
    dtype: tf.DType = tf.float32,
    scratch: Path | None = None,
) -> tuple[Checkpoint, list[str]]:
    """`checkpoint`, which `config.base` was transferred to, with fitted rows for new tokens; and a note on the fit.

    Its rows are those of the mean of pieces; tokens that the base cannot spell keep theirs. `rows` are in `reader`'s
    vocabulary. The fit is kept in the folder `scratch`, so that a run that is started again begins with the same
    weights, at once.
    """
    folder = resolve_base(config.base)
    teacher, old = load_checkpoint(folder), load_reader(folder)
    pieces_of = old_pieces(old, reader)
    is_new_V = np.array([len(pieces) > 1 for pieces in pieces_of])
    new_ids_N = np.flatnonzero(is_new_V)
    known = scratch / FITTED_FILE if scratch else None
    if known and known.is_file():
        with safe_open(known, framework="numpy") as file:
            return _with_rows(checkpoint, new_ids_N, file.get_tensor("rows")), [(file.metadata() or {})["note"]]
    max_rows = max(1, config.transfer_tokens // rows.ids.shape[1])
    numbers_R, counts_V = choose_contexts(rows, is_new_V, config.transfer_contexts, max_rows, config.seed)
    if not len(numbers_R):
        return checkpoint, []
    max_length = teacher.architecture.max_length
    paired = pair_rows(rows, numbers_R, PieceReader(pieces_of, reader.padding_id, old.padding_id, max_length))
    teacher = with_positions(teacher, max(paired.pieces_RU.shape[1], max_length))  # padding counts positions, too
    fitted = fit_new_rows(checkpoint, teacher, paired, new_ids_N, dtype)
    counts_N = counts_V[new_ids_N]
    note = (
        f"token distillation on {paired.ids_RT.size:,} tokens: squared distance of hidden states from "
        f"{fitted.first_loss:.4f} to {fitted.last_loss:.4f}; {int(np.median(counts_N))} rows for a new token (median), "
        f"none for {int((counts_N == 0).sum()):,} of {len(counts_N):,}"
    )
    if known:
        _save(fitted.table_NE, note, known)
    return _with_rows(checkpoint, new_ids_N, fitted.table_NE), [note]


def _with_rows(checkpoint: Checkpoint, ids_N: npt.NDArray[np.int64], rows_NE: Floats) -> Checkpoint:
    table_VE = checkpoint.weights["embeddings/word"].copy()
    table_VE[ids_N] = rows_NE
    return replace(checkpoint, weights=checkpoint.weights | {"embeddings/word": table_VE})


def _save(rows_NE: Floats, note: str, path: Path) -> None:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file({"rows": rows_NE}, partial, metadata={"note": note})
    os.replace(partial, path)


class _Student(tf.Module):  # type: ignore[misc]  # TensorFlow has no type stubs
    """The encoder whose new rows are trained, and Adam's moments of these."""

    def __init__(
        self, student: Checkpoint, teacher: Checkpoint, new_ids_N: npt.NDArray[np.int64], dtype: tf.DType
    ) -> None:
        super().__init__(name="student")
        self._student = Encoder(student.architecture, student.weights, dtype)
        self._teacher = Encoder(teacher.architecture, teacher.weights, dtype)
        self._new_ids_N = tf.constant(new_ids_N, tf.int32)
        self._table_VE = self._student.weights["embeddings/word"]
        shape = (len(new_ids_N), self._table_VE.shape[1])
        self._mean_NE, self._square_NE = (tf.Variable(tf.zeros(shape)) for _ in range(2))
        self._peak = PEAK_RATE * float(teacher.weights["embeddings/word"].std())

    def rows(self) -> Floats:
        """The rows of the new tokens, (N, E)."""
        rows_NE: Floats = tf.gather(self._table_VE, self._new_ids_N).numpy()
        return rows_NE

    def step(self, batch: PairedRows, done: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
        """Take step number `done` (from 0, float32) of `total`; returns the batch's loss before it."""
        wanted_BTH = self._wanted(batch)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._table_VE)
            hidden_BTH = tf.cast(self._student.hidden(batch.ids_RT, batch.segments_RT), tf.float32)
            distances_BT = tf.reduce_mean(tf.math.squared_difference(hidden_BTH, wanted_BTH), -1)
            loss = tf.reduce_sum(distances_BT * batch.weights_RT) / tf.reduce_sum(batch.weights_RT)
        gradient_VE = tf.convert_to_tensor(tape.gradient(loss, self._table_VE))
        rising, falling = (done + 1) / WARM_UP_STEPS, (total - done) / total
        rate = self._peak * tf.minimum(1.0, rising) * falling
        corrected = rate * tf.sqrt(1 - BETA_2 ** (done + 1)) / (1 - BETA_1 ** (done + 1))
        value_NE, gradient_NE = (tf.gather(each, self._new_ids_N) for each in (self._table_VE, gradient_VE))
        rows_NE, mean_NE, square_NE = _adam(value_NE, gradient_NE, self._mean_NE, self._square_NE, corrected)
        self._mean_NE.assign(mean_NE)
        self._square_NE.assign(square_NE)
        self._table_VE.scatter_nd_update(self._new_ids_N[:, None], rows_NE)
        return loss

    def _wanted(self, batch: PairedRows) -> tf.Tensor:
        """The teacher's states at the last piece of each token, (B, T, H)."""
        hidden_BUH = self._teacher.hidden(batch.pieces_RU, batch.piece_segments_RU)
        return tf.cast(tf.gather(hidden_BUH, batch.last_pieces_RT, batch_dims=1), tf.float32)


@fused_op
def _adam(
    value: tf.Tensor, gradient: tf.Tensor, mean: tf.Tensor, square: tf.Tensor, rate: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A value and its two moments after an update (Kingma and Ba 2015, arXiv 1412.6980)."""
    mean = BETA_1 * mean + (1 - BETA_1) * gradient
    square = BETA_2 * square + (1 - BETA_2) * tf.square(gradient)
    return value - rate * mean / (tf.sqrt(square) + EPSILON), mean, square


def fit_new_rows(
    student: Checkpoint,
    teacher: Checkpoint,
    paired: PairedRows,
    new_ids_N: npt.NDArray[np.int64],
    dtype: tf.DType = tf.float32,
) -> FittedRows:
    """Fit the rows `new_ids_N` of the student's word table to what the teacher reads in `paired`, in one pass.

    Both checkpoints have positions for the rows; they differ in the word table only. The last rows that fill no batch
    are left out, unless there is no other.
    """
    num_rows = len(paired.ids_RT)
    batch_rows = min(BATCH_ROWS, num_rows)
    total = num_rows // batch_rows
    fitted = _Student(student, teacher, new_ids_N, dtype)
    step = tf.function(fitted.step, autograph=False, jit_compile=bool(tf.config.list_physical_devices("GPU")))
    losses: list[float] = []
    with Progress("fitting new tokens", total, unit="steps", warm_up=1) as progress:
        for number in range(total):
            rows = slice(number * batch_rows, (number + 1) * batch_rows)
            batch = PairedRows(*(tf.constant(array[rows]) for array in paired))
            losses.append(float(step(batch, tf.constant(float(number)), tf.constant(float(total)))))
            progress.advance(note=f"squared distance {losses[-1]:.4f}")
    return FittedRows(fitted.rows(), _mean(losses[:SUMMED_STEPS]), _mean(losses[-SUMMED_STEPS:]))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
