"""A base checkpoint carried over to another vocabulary: word table, tied decoder and MLM bias together."""

# V new vocabulary, U old vocabulary, H hidden

from dataclasses import dataclass

import numpy as np

from corpora.errors import StackbertError
from pretrain.checkpoint import Checkpoint, with_vocabulary
from tokenizer.reader import ROLES, TextReader

CONTINUATION = "##"
INITIAL_DEVIATION = 0.02  # BERT's


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
    base: Checkpoint, old: TextReader, new: TextReader, method: str, seed: int
) -> tuple[Checkpoint, TransferCounts]:
    """`base` with a row for each token of `new`.

    A token that both have keeps its row; special tokens are matched by role. A new one starts from the mean of the rows
    of its old pieces (`method` 'mean': FVT, Gee et al. 2022, arXiv 2402.09977) or from noise of the table's own
    deviation ('random'). The MLM bias moves in the same way.
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
    for number, pieces in enumerate(old_pieces(old, new)):
        if not pieces:
            unknown += 1
        elif len(pieces) == 1:
            kept += 1
        else:
            built += 1
        if len(pieces) == 1 or (pieces and method == "mean"):
            word_VH[number] = table_UH[pieces].mean(0)
            bias_V[number] = bias_U[pieces].mean()
    ids = {f"{role}_token_id": getattr(new, attribute) for role, attribute in _ROLE_ATTRIBUTES.items()}
    ids |= {"bos_token_id": new.first_id, "eos_token_id": new.last_id}  # RoBERTa's names
    ids = {name: number for name, number in ids.items() if name == "pad_token_id" or name in base.config}
    return with_vocabulary(base, word_VH, bias_V, ids), TransferCounts(kept, built, unknown)


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
    pieces that continue one. A vocabulary without '##' (RoBERTa's) marks the space before a word instead, so there a
    word is read after a space, and what continues one is read bare.
    """
    roles = dict(zip(new.special_ids, old.special_ids, strict=True))
    old_ids = old.tokenizer.get_vocab()
    tokens = new.tokens()
    starts = [
        number for number, token in enumerate(tokens) if number not in roles and not token.startswith(CONTINUATION)
    ]
    continues = any(token.startswith(CONTINUATION) for token in old_ids)
    texts = [tokens[n] if continues or not tokens[n][:1].isalnum() else " " + tokens[n] for n in starts]
    read = dict(zip(starts, old.ids_without_specials(texts), strict=True))
    result = []
    for number, token in enumerate(tokens):
        if number in roles:
            pieces = [roles[number]]
        elif number in read:
            pieces = [old_ids[token]] if continues and token in old_ids else read[number]
        elif continues:
            pieces = _greedy(token.removeprefix(CONTINUATION), old_ids)
        else:
            pieces = next(iter(old.ids_without_specials([token.removeprefix(CONTINUATION)])))
        result.append([] if old.unknown_id in pieces and number not in roles else pieces)
    return result


def _greedy(text: str, vocabulary: dict[str, int]) -> list[int]:
    """Ids of the longest continuing pieces that spell `text`, from the left; empty where there are none."""
    pieces: list[int] = []
    while text:
        end = next((end for end in range(len(text), 0, -1) if CONTINUATION + text[:end] in vocabulary), 0)
        if not end:
            return []
        pieces.append(vocabulary[CONTINUATION + text[:end]])
        text = text[end:]
    return pieces


_ROLE_ATTRIBUTES = dict(zip(ROLES, ("padding_id", "unknown_id", "first_id", "last_id", "mask_id"), strict=True))
