"""A base checkpoint carried over to another vocabulary: word table, tied decoder and MLM bias together."""

# V new vocabulary, U old vocabulary, H hidden

from dataclasses import dataclass

import numpy as np

from pretrain.init.similarity import sparsemax
from pretrain.model.checkpoint import Checkpoint, with_vocabulary
from stackbert.core.errors import StackbertError
from tokenizer.encoding.reader import ROLES, TextReader
from tokenizer.encoding.token_notation import CONTINUATION_PREFIX, SENTENCEPIECE_SPACE

INITIAL_DEVIATION = 0.02  # BERT's
MOST_SIMILAR = 64  # candidates of a weighted mean; sparsemax gives most of them nothing
SHARPNESS = 0.1  # likenesses are cosines; divided by this, some five tokens share a mean
TOKENS_AT_A_TIME = 1_000


@dataclass(frozen=True)
class TransferCounts:
    """Where the rows of the new table come from."""

    kept: int
    """Tokens that both vocabularies have."""
    built: int
    """New tokens that start from their old pieces, or from noise where that was asked for."""
    unknown: int
    """New tokens that the old vocabulary cannot spell; they start from noise."""


def transfer_vocabulary(
    base: Checkpoint,
    old: TextReader,
    new: TextReader,
    method: str,
    seed: int,
    vectors_VD: np.ndarray | None = None,
) -> tuple[Checkpoint, TransferCounts]:
    """`base` with a row for each token of `new`.

    A token that both have keeps its row; special tokens are matched by role. A new one starts, by `method`, from the
    mean of the rows of its old pieces ('mean': FVT, Gee et al. 2022, arXiv 2402.09977), from noise of the table's own
    deviation ('random'), or from the rows of the kept tokens whose `vectors_VD` are most like its own ('similar':
    FOCUS, Dobler and de Melo 2023, arXiv 2305.14481), where it has a vector, else its pieces. The MLM bias moves in
    the same way.
    """
    check_vocabulary(base, old)
    if old.tokens() == new.tokens():
        return base, TransferCounts(new.vocab_size, 0, 0)
    table_UH, bias_U = base.weights["embeddings/word"], base.weights["mlm/bias"]
    deviation = float(table_UH.std()) or INITIAL_DEVIATION
    word_VH = np.random.default_rng([seed, 0x22]).normal(0, deviation, (new.vocab_size, table_UH.shape[1]))
    word_VH = word_VH.astype(np.float32)
    bias_V = np.full(new.vocab_size, bias_U.mean(), np.float32)
    kept = built = unknown = 0
    spelled = old_pieces(old, new)
    for number, pieces in enumerate(spelled):
        if not pieces:
            unknown += 1
        elif len(pieces) == 1:
            kept += 1
        else:
            built += 1
        if len(pieces) == 1 or (pieces and method != "random"):
            word_VH[number] = table_UH[pieces].mean(0)
            bias_V[number] = bias_U[pieces].mean()
    if vectors_VD is not None:
        is_kept_V = np.array([len(pieces) == 1 for pieces in spelled])
        is_kept_V[list(new.special_ids)] = False
        _blend_similar(word_VH, bias_V, is_kept_V, vectors_VD)
    ids = {f"{role}_token_id": getattr(new, attribute) for role, attribute in _ROLE_ATTRIBUTES.items()}
    ids |= {"bos_token_id": new.first_id, "eos_token_id": new.last_id}  # RoBERTa's names
    ids = {name: number for name, number in ids.items() if name == "pad_token_id" or name in base.config}
    return with_vocabulary(base, word_VH, bias_V, ids), TransferCounts(kept, built, unknown)


def _blend_similar(word_VH: np.ndarray, bias_V: np.ndarray, is_kept_V: np.ndarray, vectors_VD: np.ndarray) -> None:
    """Set the rows of tokens that are not kept to a mean of kept ones, weighted by the likeness of their vectors."""
    has_vector_V = vectors_VD.any(1)
    kept_K = np.flatnonzero(is_kept_V & has_vector_V)
    ordinary_V = has_vector_V & ~is_kept_V
    most = min(MOST_SIMILAR, len(kept_K))
    for chunk in np.array_split(np.flatnonzero(ordinary_V), max(1, int(ordinary_V.sum()) // TOKENS_AT_A_TIME)):
        if not most or not len(chunk):
            return
        scores_NK = vectors_VD[chunk] @ vectors_VD[kept_K].T
        best_NM = np.argpartition(-scores_NK, most - 1, axis=1)[:, :most]
        shares_NM = sparsemax(np.take_along_axis(scores_NK, best_NM, 1) / SHARPNESS)
        sources_NM = kept_K[best_NM]
        word_VH[chunk] = np.einsum("nm,nmh->nh", shares_NM, word_VH[sources_NM])
        bias_V[chunk] = (shares_NM * bias_V[sources_NM]).sum(1)


def check_vocabulary(checkpoint: Checkpoint, reader: TextReader) -> None:
    """Raise StackbertError where a tokenizer gives ids that the checkpoint's word table does not have."""
    rows = checkpoint.architecture.vocab_size
    if reader.vocab_size > rows:
        raise StackbertError(
            f"the vocabulary does not fit the checkpoint: {reader.vocab_size:,} tokens, but {rows:,} rows in the word "
            "table; use the tokenizer that belongs to the checkpoint, or carry the checkpoint over with 'pretrain run'"
        )


def old_pieces(old: TextReader, new: TextReader) -> list[list[int]]:
    """For each new token, the old ids that spell it; empty where they cannot.

    A token that begins a word is read by the old tokenizer; one that continues a word ('##ing') by the longest old
    pieces that continue one. A vocabulary without '##' marks the space before a word instead, so there a word is read
    after a space, and what continues one is read bare (RoBERTa) or by the longest pieces without a mark (CamemBERT).
    """
    roles = dict(zip(new.special_ids, old.special_ids, strict=True))
    old_ids = old.tokenizer.get_vocab()
    tokens = new.tokens()
    if new.space_mark == SENTENCEPIECE_SPACE:  # said in WordPiece's way
        tokens = [
            token[1:] if token.startswith(SENTENCEPIECE_SPACE) else CONTINUATION_PREFIX + token for token in tokens
        ]
    starts = [
        number
        for number, token in enumerate(tokens)
        if number not in roles and not token.startswith(CONTINUATION_PREFIX)
    ]
    continues, is_marked = old.begins_word is not None, old.space_mark == SENTENCEPIECE_SPACE
    texts = [tokens[n] if continues or not tokens[n][:1].isalnum() else " " + tokens[n] for n in starts]
    read = dict(zip(starts, old.ids_without_specials(texts), strict=True))
    result = []
    for number, token in enumerate(tokens):
        if number in roles:
            pieces = [roles[number]]
        elif number in read:
            pieces = [old_ids[token]] if continues and token in old_ids else read[number]
        elif continues or is_marked:
            pieces = _greedy(token.removeprefix(CONTINUATION_PREFIX), old_ids, CONTINUATION_PREFIX if continues else "")
        else:
            pieces = next(iter(old.ids_without_specials([token.removeprefix(CONTINUATION_PREFIX)])))
        result.append([] if old.unknown_id in pieces and number not in roles else pieces)
    return result


def _greedy(text: str, vocabulary: dict[str, int], prefix: str) -> list[int]:
    """Ids of the longest pieces with `prefix` that spell `text`, from the left; empty where there are none."""
    pieces: list[int] = []
    while text:
        end = next((end for end in range(len(text), 0, -1) if prefix + text[:end] in vocabulary), 0)
        if not end:
            return []
        pieces.append(vocabulary[prefix + text[:end]])
        text = text[end:]
    return pieces


_ROLE_ATTRIBUTES = dict(zip(ROLES, ("padding_id", "unknown_id", "first_id", "last_id", "mask_id"), strict=True))
