"""Rows of new tokens, fitted to what the base reads in their place."""

import numpy as np
import pytest
import tensorflow as tf

from pretrain.init import token_distillation
from pretrain.init.contexts import PairedRows, PieceReader, pair_rows
from pretrain.init.initial_checkpoint import build_initial_checkpoint
from pretrain.init.token_distillation import fit_new_rows
from pretrain.model.checkpoint import Checkpoint
from pretrain.model.encoder import Encoder
from tests.pretrain.runs import config
from tests.pretrain.tiny import CONFIGS, VOCAB_SIZE, tiny_checkpoint
from tokenizer.encoding.packed_rows import PackedRows, load_rows
from tokenizer.encoding.reader import load_reader

LENGTH, NEW = 10, np.array([40, 41])


def paired(pieces_of_new: list[list[int]], num_rows: int) -> PairedRows:
    """Random rows with both new tokens in each."""
    generator = np.random.default_rng(3)
    ids = generator.integers(5, 30, (num_rows, LENGTH))
    ids[:, 0], ids[:, 3], ids[:, 7] = 2, 40, 41
    rows = PackedRows(ids, first_id=2, padding_id=0, text_bytes=1, text_tokens=1)
    pieces_of = [[number] for number in range(VOCAB_SIZE)]
    pieces_of[40], pieces_of[41] = pieces_of_new
    return pair_rows(rows, np.arange(num_rows), PieceReader(pieces_of, 0, 0, 20))


def with_rows(checkpoint: Checkpoint, rows: np.ndarray) -> Checkpoint:
    table = checkpoint.weights["embeddings/word"].copy()
    table[NEW] = rows
    return Checkpoint(
        checkpoint.architecture, checkpoint.config, checkpoint.weights | {"embeddings/word": table}, has_mlm_head=True
    )


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_token_that_is_another_by_a_new_name_comes_near_its_row(family, monkeypatch):
    """The loss is 0 there, so the fit goes that way, from noise, in a base of any family."""
    monkeypatch.setattr(token_distillation, "PEAK_RATE", 0.5)
    base = tiny_checkpoint(family)
    noise = np.random.default_rng(1).normal(0, 0.3, (2, base.architecture.embedding_dim))
    found = fit_new_rows(with_rows(base, noise.astype("f4")), base, paired([[31], [32]], 16 * 60), NEW)
    assert found.last_loss < 0.3 * found.first_loss
    # most families normalise the sum of embeddings, so that the length of a row matters little
    wanted = base.weights["embeddings/word"][[31, 32]]
    assert (cosines(found.table_NE, wanted) > cosines(noise, wanted) + 0.1).all()


def cosines(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return (one * two).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(two, axis=1)


def test_loss_is_the_squared_distance_at_the_last_pieces():
    base = tiny_checkpoint("bert")
    batch = paired([[31, 32], [33, 34]], 4)
    student = with_rows(base, np.zeros((2, 24), "f4"))
    states = [
        Encoder(each.architecture, each.weights).hidden(tf.constant(ids), tf.constant(segments)).numpy()
        for each, ids, segments in (
            (student, batch.ids_RT, batch.segments_RT),
            (base, batch.pieces_RU, batch.piece_segments_RU),
        )
    ]
    # the pieces of tokens 3 and 7 are two each: what follows stands one place and two places later
    wanted = states[1][:, [0, 1, 2, 4, 5, 6, 7, 9, 10, 11]]
    found = fit_new_rows(student, base, batch, NEW)
    assert found.first_loss == pytest.approx(((states[0] - wanted) ** 2).mean(), rel=1e-5)


def test_fit_is_the_same_each_time():
    base = tiny_checkpoint("bert")
    rows = paired([[31, 32], [33]], 64)
    one, two = (fit_new_rows(base, base, rows, NEW).table_NE for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_only_rows_of_new_tokens_differ_from_the_mean(small_rows, letters_base):
    reader, rows = load_reader(small_rows / "tokenizer"), load_rows(small_rows / "rows", "train")
    settings = [config(base=str(letters_base), transfer=transfer) for transfer in ("mean", "distill")]
    starts = [build_initial_checkpoint(each, reader, rows) for each in settings]
    (mean, _), (fitted, notes) = starts
    differing = [name for name in mean.weights if not np.array_equal(mean.weights[name], fitted.weights[name])]
    assert differing == ["embeddings/word"]
    moved = (mean.weights["embeddings/word"] != fitted.weights["embeddings/word"]).any(1)
    known = set(load_reader(letters_base).tokens())
    assert moved.any()
    assert not any(token in known for token, has_moved in zip(reader.tokens(), moved, strict=True) if has_moved)
    assert notes[-1].startswith("token distillation on ")


def test_base_s_own_vocabulary_has_nothing_to_fit(small_rows, tiny_base, monkeypatch):
    monkeypatch.setattr(token_distillation, "fit_new_rows", None)
    reader, rows = load_reader(tiny_base), load_rows(small_rows / "rows", "train")
    settings = config(base=str(tiny_base), transfer="distill", extend_positions=True)
    start, notes = build_initial_checkpoint(settings, reader, rows)
    assert start.weights["embeddings/word"].shape == (120, 24)
    assert not any("distillation" in note for note in notes)
