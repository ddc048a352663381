"""Vocabulary transfer: a base checkpoint gets the word table, tied decoder and MLM bias of another vocabulary."""

# V new vocabulary, U old vocabulary, H hidden, D width of a token's similarity vector
# N tokens of a chunk, K shared tokens, M most similar of them

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pretrain.init.similarity import sparsemax
from pretrain.model.checkpoint import Checkpoint, with_vocabulary
from stackbert.core.checkpoints import is_random, resolve_base
from stackbert.core.errors import StackbertError
from tokenizer.encoding.reader import TextReader, load_reader
from tokenizer.encoding.spelling import spell, spellings, with_guessed_space
from tokenizer.files.tokenizer_checks import ROLES

INITIAL_DEVIATION = 0.02  # BERT's
MAX_SIMILAR = 64  # candidates of a weighted mean; sparsemax gives most of them no weight
TEMPERATURE = 0.1  # of cosine similarities: about five tokens then share a mean
TOKENS_PER_CHUNK = 1_000

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TransferCounts:
    """How the tokens of the new vocabulary are initialised."""

    shared: int
    """Tokens of both vocabularies."""
    built: int
    """New tokens that the old vocabulary can spell; they start as the method says."""
    unknown: int
    """New tokens that it cannot spell; they start from noise."""


def transfer_vocabulary(
    base: Checkpoint,
    old: TextReader,
    new: TextReader,
    method: str,
    seed: int,
    vectors_VD: Floats | None = None,
) -> tuple[Checkpoint, TransferCounts]:
    """`base` with a row in its word table, and an MLM bias, for each id of `new`; noise where no token has the id.

    Tokens of both vocabularies keep their rows; special tokens are matched by role. `method` initialises new tokens:

    - 'mean': the mean of the rows of their pieces in the old vocabulary (FVT: Gee et al. 2022, arXiv 2402.09977).
    - 'random': normal noise with the old table's standard deviation.
    - 'distill': as 'mean', which `token_distillation` then fits.
    - 'similar': a weighted mean of the rows of the shared tokens with the most similar `vectors_VD` (FOCUS: Dobler and
      de Melo 2023, arXiv 2305.14481); as 'mean' for tokens without a vector.
    """
    check_vocabulary(base, old)
    if (old.tokens(), old.special_ids) == (new.tokens(), new.special_ids):
        return base, TransferCounts(new.vocab_size - len(new.absent_ids), 0, 0)
    pieces_of = old_pieces(old, new)
    word_VH, bias_V = _initial_rows(base, pieces_of, method, seed)
    if vectors_VD is not None:
        is_shared_V = np.array([len(pieces) == 1 for pieces in pieces_of])
        is_shared_V[list(new.special_ids)] = False
        _blend_similar(word_VH, bias_V, is_shared_V, vectors_VD)
    lengths = [len(pieces) for pieces in pieces_of]
    shared, unspelled = lengths.count(1), lengths.count(0)
    counts = TransferCounts(shared, len(lengths) - shared - unspelled, unspelled - len(new.absent_ids))
    return with_vocabulary(base, word_VH, bias_V, _special_ids(base, new)), counts


def _initial_rows(base: Checkpoint, pieces_of: list[list[int]], method: str, seed: int) -> tuple[Floats, Floats]:
    """Rows (V, H) and biases (V,) of the new tokens; noise, and the mean bias, where they have no pieces to copy."""
    table_UH, bias_U = base.weights["embeddings/word"], base.weights["mlm/bias"]
    deviation = float(table_UH.std()) or INITIAL_DEVIATION
    noise_VH = np.random.default_rng([seed, 0x22]).normal(0, deviation, (len(pieces_of), table_UH.shape[1]))
    word_VH = noise_VH.astype(np.float32)
    bias_V = np.full(len(pieces_of), bias_U.mean(), np.float32)
    for number, pieces in enumerate(pieces_of):
        if len(pieces) == 1 or (pieces and method != "random"):
            word_VH[number] = table_UH[pieces].mean(0)
            bias_V[number] = bias_U[pieces].mean()
    return word_VH, bias_V


def _special_ids(base: Checkpoint, new: TextReader) -> dict[str, int]:
    """The entries of `config.json` that name special ids, for the new vocabulary."""
    ids: dict[str, int] = {f"{role}_token_id": getattr(new, attribute) for role, attribute in _ROLE_ATTRIBUTES.items()}
    ids |= {"bos_token_id": new.first_id, "eos_token_id": new.last_id}  # RoBERTa's names
    return {name: number for name, number in ids.items() if name == "pad_token_id" or name in base.config}


def _blend_similar(word_VH: Floats, bias_V: Floats, is_shared_V: npt.NDArray[np.bool_], vectors_VD: Floats) -> None:
    """Set the rows of new tokens that have a vector to a mean of shared tokens', weighted by cosine similarity."""
    has_vector_V = vectors_VD.any(1)
    shared_K = np.flatnonzero(is_shared_V & has_vector_V)
    is_new_V = has_vector_V & ~is_shared_V
    most = min(MAX_SIMILAR, len(shared_K))
    for chunk in np.array_split(np.flatnonzero(is_new_V), max(1, int(is_new_V.sum()) // TOKENS_PER_CHUNK)):
        if not most or not len(chunk):
            return
        scores_NK = vectors_VD[chunk] @ vectors_VD[shared_K].T
        best_NM = np.argpartition(-scores_NK, most - 1, axis=1)[:, :most]
        shares_NM = sparsemax(np.take_along_axis(scores_NK, best_NM, 1) / TEMPERATURE)
        sources_NM = shared_K[best_NM]
        word_VH[chunk] = np.einsum("nm,nmh->nh", shares_NM, word_VH[sources_NM])
        bias_V[chunk] = (shares_NM * bias_V[sources_NM]).sum(1)


def check_vocabulary(checkpoint: Checkpoint, reader: TextReader) -> None:
    """Raise StackbertError where a tokenizer has ids beyond the checkpoint's word table."""
    rows = checkpoint.architecture.vocab_size
    if reader.vocab_size > rows:
        raise StackbertError(
            f"the vocabulary does not fit the checkpoint: it has ids up to {reader.vocab_size - 1:,}, but the "
            f"word table has {rows:,} rows; use the tokenizer that the checkpoint was trained with"
        )


def new_tokens(base: str, new: TextReader) -> npt.NDArray[np.bool_]:
    """Whether each token of `new` is one that the base has no row for, (V,); all are where the base is random."""
    if is_random(base):
        return np.ones(new.vocab_size, np.bool_)
    return np.array([len(pieces) != 1 for pieces in old_pieces(load_reader(resolve_base(base)), new)])


def old_pieces(old: TextReader, new: TextReader) -> list[list[int]]:
    """For each new token, the old ids that spell it; empty where the old vocabulary cannot.

    A token that the old vocabulary writes alike is itself. The old tokenizer splits any other as in running text: with
    its own marks of words and spaces, after its normalizer, into bytes where it has them.
    """
    roles = dict(zip(new.special_ids, old.special_ids, strict=True))
    is_same_notation = (old.begins_word is None, old.space_mark) == (new.begins_word is None, new.space_mark)
    old_ids = old.tokenizer.get_vocab() if is_same_notation else {}
    words = spellings(new)
    if old.space_mark and not new.space_mark:
        words = [with_guessed_space(word) for word in words]
    return [
        [roles[number]] if number in roles else [old_ids[token]] if token and token in old_ids else pieces
        for number, (token, pieces) in enumerate(zip(new.tokens(), spell(old, words), strict=True))
    ]


_ROLE_ATTRIBUTES = dict(zip(ROLES, ("padding_id", "unknown_id", "first_id", "last_id", "mask_id"), strict=True))
