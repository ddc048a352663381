"""Packed rows turned back into sequences and texts."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tokenizer.encoding.packed_rows import SPLITS, load_rows
from tokenizer.encoding.reader import load_reader


def sequences(folder: Path, split: str) -> list[list[int]]:
    """The sequences of a split without [CLS], [SEP] and padding."""
    packed = load_rows(folder, split)
    found: list[list[int]] = []
    for row in packed.ids.tolist():
        for token in row:
            if token == packed.first_id:
                found.append([])
            elif token != packed.padding_id:
                found[-1].append(token)
    return [ids[:-1] for ids in found]


def decoded(folder: Path, tokenizer: Path, split: str) -> list[str]:
    """The texts of a split's sequences, sorted."""
    reader = load_reader(tokenizer)
    return sorted(reader.tokenizer.decode(ids) for ids in sequences(folder, split))


def pairs_in(folder: Path, splits: Sequence[str] = SPLITS) -> Counter[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Token ids of both texts of each pair, without [CLS] and [SEP]."""
    found: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
    for split in splits:
        texts = [tuple(ids) for ids in sequences(folder, split)]
        found.update(zip(texts[::2], texts[1::2], strict=True))
    return found
