"""Keys of titles, bodies, blocks and n-grams of many posts at once: what tells that one text stands in another."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

# Shape letters: N posts, B blocks, W windows, C bytes that are kept, D words.

WINDOW = 13
"""Words in an n-gram, as GPT-3's decontamination has it (arXiv 2005.14165, appendix C)."""
MIN_BLOCK = 60
"""Letters and digits in a block; shorter ones ("Thanks in advance") are common speech."""
BATCH_BYTES = 1 << 20  # of text at a time: the arrays, 8 bytes for each of its letters, stay near the processor

_SEPARATOR = b"\n\n"  # between blocks, and so between title, body and posts
# A word is a run of letters, digits, '+' and '#': those two alone tell C, C++ and C# apart.
_FOLD = bytes(byte if chr(byte).isalnum() or byte >= 128 or chr(byte) in "+#" else 0 for byte in range(256))
_FOLD = _FOLD.translate(bytes(range(256)).lower())
_FOREIGN_SIGN = re.compile(r"[^\w\x00-\x7f]")  # a quotation mark or arrow separates words like an ASCII sign

# Odd numbers have an inverse among the 64-bit numbers; these were drawn at random, once.
_BYTE_FACTOR, _WORD_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_BYTE_VALUES = np.random.Generator(np.random.PCG64(0)).integers(1, 2**64, 256, np.uint64)


def exact_key(text: str) -> bytes:
    """16 bytes that are those of this very text alone."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


@dataclass(frozen=True)
class TextKeys:
    """64-bit keys that stay the same when case, whitespace, line breaks or punctuation change; 0: nothing to go by."""

    titles_N: np.ndarray
    bodies_N: np.ndarray
    wholes_N: np.ndarray
    """Of title and body together."""
    letters_N: np.ndarray
    """How many bytes of letters and digits title and body have."""
    blocks_B: np.ndarray
    """Of each paragraph or code block with MIN_BLOCK letters or more."""
    block_posts_B: np.ndarray
    """The post that a block stands in, ascending."""
    block_letters_B: np.ndarray
    windows_W: np.ndarray
    """Of each run of WINDOW words in title and body."""
    window_posts_W: np.ndarray
    """The post that a window stands in, ascending."""


def text_keys(titles: Sequence[str], bodies: Sequence[str]) -> TextKeys:
    """The keys of posts with these titles and bodies; either may be empty.

    Polynomial hashes over prefix sums: the key of any segment is the difference of two sums, so that a dozen passes
    over the bytes give all keys of all posts. Source of the idea: R. Karp, M. Rabin, "Efficient randomized
    pattern-matching algorithms", 1987.
    """
    fields = [_bytes(text) for pair in zip(titles, bodies, strict=True) for text in pair]
    raw = _SEPARATOR.join(fields) + _SEPARATOR
    ends = np.cumsum([len(field) + len(_SEPARATOR) for field in fields], dtype=np.int64)
    folded = np.frombuffer(raw.translate(_FOLD), np.uint8)
    places_C = np.flatnonzero(folded != 0)
    segments = _Segments(folded[places_C])
    # Borders in the kept bytes: of title and body, and of blocks.
    fields_at = np.searchsorted(places_C, np.concatenate([[0], ends]))
    wholes_at = fields_at[::2]
    breaks = _breaks(np.frombuffer(raw, np.uint8))
    blocks_at = np.unique(np.searchsorted(places_C, breaks))
    block_letters = np.diff(blocks_at, append=len(places_C))
    long = block_letters >= MIN_BLOCK
    starts_B, block_letters_B = blocks_at[long], block_letters[long]
    windows_W, window_posts_W = _windows(places_C, segments, wholes_at)
    return TextKeys(
        titles_N=segments.keys(fields_at[:-1:2], fields_at[1::2]),
        bodies_N=segments.keys(fields_at[1::2], fields_at[2::2]),
        wholes_N=segments.keys(wholes_at[:-1], wholes_at[1:]),
        letters_N=np.diff(wholes_at),
        blocks_B=segments.keys(starts_B, starts_B + block_letters_B),
        block_posts_B=np.searchsorted(wholes_at, starts_B, "right") - 1,
        block_letters_B=block_letters_B,
        windows_W=windows_W,
        window_posts_W=window_posts_W,
    )


def _bytes(text: str) -> bytes:
    if text.isascii():
        return text.encode()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _FOREIGN_SIGN.sub(" ", folded).encode(errors="replace")


def _breaks(raw: np.ndarray) -> np.ndarray:
    """Where a blank line begins."""
    newlines = np.flatnonzero(raw == 10)
    return np.concatenate([[0], newlines[:-1][np.diff(newlines) == 1]])


def _windows(places_C: np.ndarray, segments: "_Segments", wholes_at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keys and posts of all runs of WINDOW words within a post."""
    starts_D = np.flatnonzero(np.diff(places_C, prepend=-2) > 1)
    words_D = segments.keys(starts_D, np.append(starts_D[1:], len(places_C)))
    if len(words_D) < WINDOW:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    powers, inverses = _powers(_WORD_FACTOR, _room(len(words_D), BATCH_BYTES // 4))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words_D * powers[: len(words_D)])])
    windows = _mixed((sums[WINDOW:] - sums[:-WINDOW]) * inverses[: len(sums) - WINDOW])
    posts_D = np.repeat(np.arange(len(wholes_at) - 1), np.diff(np.searchsorted(starts_D, wholes_at)))
    within = posts_D[WINDOW - 1 :] == posts_D[: 1 - WINDOW]
    return windows[within], posts_D[: 1 - WINDOW][within]


class _Segments:
    """Keys of segments of a text."""

    def __init__(self, kept_C: np.ndarray) -> None:
        powers, self._inverses = _powers(_BYTE_FACTOR, _room(len(kept_C), BATCH_BYTES))
        values = _BYTE_VALUES[kept_C]
        values *= powers[: len(kept_C)]
        self._sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values)])

    def keys(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """uint64; 0 for an empty segment alone."""
        return _mixed((self._sums[ends] - self._sums[starts]) * self._inverses[starts])


def _mixed(keys: np.ndarray) -> np.ndarray:
    """Each bit of a key spread over all; one to one, and 0 stays 0."""
    keys = keys ^ (keys >> np.uint64(32))
    keys *= _MIX
    keys ^= keys >> np.uint64(29)
    return keys


def _room(length: int, least: int) -> int:
    """The power of two at or above `length` and `least`, so that few tables of powers are made."""
    return 1 << (max(length, least) - 1).bit_length()


@lru_cache(maxsize=4)
def _powers(factor: np.uint64, length: int) -> tuple[np.ndarray, np.ndarray]:
    """factor ** 0, 1, 2 ... and its inverse's, modulo 2**64."""
    inverse = np.uint64(pow(int(factor), -1, 2**64))
    tables = []
    for base in (factor, inverse):
        table = np.full(length, base, np.uint64)
        table[0] = 1
        tables.append(np.cumprod(table, out=table))
    return tables[0], tables[1]
