"""64-bit keys (hashes) of titles, bodies, blocks and n-grams of many posts at once, to find shared text."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from corpora.arrays import Indices, Keys

# Shape letters: N posts, B blocks, G n-grams, C bytes of letters and digits, D words.

NGRAM_WORDS = 13
"""As in the decontamination of GPT-3 (arXiv 2005.14165, appendix C)."""
MIN_BLOCK = 60
"""Letters and digits in a block; shorter ones ("Thanks in advance") are set phrases."""
BATCH_BYTES = 1 << 20  # of text per batch; the arrays take 8 bytes per letter, and should fit the processor's cache

_SEPARATOR = b"\n\n"  # between blocks, and therefore between title, body and posts
# A word is a run of letters, digits, '+' and '#', which distinguish C, C++ and C#.
_FOLD = bytes(byte if chr(byte).isalnum() or byte >= 128 or chr(byte) in "+#" else 0 for byte in range(256))
_FOLD = _FOLD.translate(bytes(range(256)).lower())
_FOREIGN_SIGN = re.compile(r"[^\w\x00-\x7f]")  # a quotation mark or an arrow separates words as an ASCII sign does

# Odd, so that they have an inverse modulo 2**64; drawn at random once.
_BYTE_FACTOR, _WORD_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_BYTE_VALUES = np.random.Generator(np.random.PCG64(0)).integers(1, 2**64, 256, np.uint64)


def exact_key(text: str) -> bytes:
    """A 128-bit hash of the exact text."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


@dataclass(frozen=True)
class TextKeys:
    """64-bit keys that ignore case, white space and punctuation; 0 for a text without letters or digits."""

    titles_N: Keys
    bodies_N: Keys
    wholes_N: Keys
    """Keys of title and body together."""
    letters_N: Indices
    """Bytes of letters and digits in title and body."""
    blocks_B: Keys
    """Keys of paragraphs and code blocks with MIN_BLOCK letters or more."""
    block_posts_B: Indices
    """Index of the post of each block, ascending."""
    block_letters_B: Indices
    ngrams_G: Keys
    """Keys of the n-grams of NGRAM_WORDS words in title and body."""
    ngram_posts_G: Indices
    """Index of the post of each n-gram, ascending."""


def text_keys(titles: Sequence[str], bodies: Sequence[str]) -> TextKeys:
    """The keys of posts with these titles and bodies; either may be empty.

    Polynomial rolling hashes from prefix sums: the key of any segment is the difference of two sums, so a dozen passes
    over the bytes give all keys of all posts. R. Karp, M. Rabin, "Efficient randomized pattern-matching algorithms",
    1987.
    """
    fields = [_bytes(text) for pair in zip(titles, bodies, strict=True) for text in pair]
    raw = _SEPARATOR.join(fields) + _SEPARATOR
    ends = np.cumsum([len(field) + len(_SEPARATOR) for field in fields], dtype=np.int64)
    folded = np.frombuffer(raw.translate(_FOLD), np.uint8)
    offsets_C = np.flatnonzero(folded != 0)
    segments = _Segments(folded[offsets_C])
    # Where fields and blocks begin, counted in bytes of letters and digits.
    field_starts = np.searchsorted(offsets_C, np.concatenate([[0], ends]))
    post_starts = field_starts[::2]
    breaks = _breaks(np.frombuffer(raw, np.uint8))
    block_starts = np.unique(np.searchsorted(offsets_C, breaks))
    block_letters = np.diff(block_starts, append=len(offsets_C))
    long = block_letters >= MIN_BLOCK
    starts_B, block_letters_B = block_starts[long], block_letters[long]
    ngrams_G, ngram_posts_G = _ngrams(offsets_C, segments, post_starts)
    return TextKeys(
        titles_N=segments.keys(field_starts[:-1:2], field_starts[1::2]),
        bodies_N=segments.keys(field_starts[1::2], field_starts[2::2]),
        wholes_N=segments.keys(post_starts[:-1], post_starts[1:]),
        letters_N=np.diff(post_starts),
        blocks_B=segments.keys(starts_B, starts_B + block_letters_B),
        block_posts_B=np.searchsorted(post_starts, starts_B, "right") - 1,
        block_letters_B=block_letters_B,
        ngrams_G=ngrams_G,
        ngram_posts_G=ngram_posts_G,
    )


def _bytes(text: str) -> bytes:
    if text.isascii():
        return text.encode()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _FOREIGN_SIGN.sub(" ", folded).encode(errors="replace")


def _breaks(raw: npt.NDArray[np.uint8]) -> Indices:
    """Offsets of blank lines, and 0."""
    newlines = np.flatnonzero(raw == 10)
    return np.concatenate([[0], newlines[:-1][np.diff(newlines) == 1]])


def _ngrams(offsets_C: Indices, segments: "_Segments", post_starts: Indices) -> tuple[Keys, Indices]:
    """Keys and post indices of all n-grams that lie within a post."""
    starts_D = np.flatnonzero(np.diff(offsets_C, prepend=-2) > 1)
    words_D = segments.keys(starts_D, np.append(starts_D[1:], len(offsets_C)))
    if len(words_D) < NGRAM_WORDS:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    powers, inverses = _powers(_WORD_FACTOR, _table_length(len(words_D), BATCH_BYTES // 4))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words_D * powers[: len(words_D)])])
    ngrams = _mixed((sums[NGRAM_WORDS:] - sums[:-NGRAM_WORDS]) * inverses[: len(sums) - NGRAM_WORDS])
    posts_D = np.repeat(np.arange(len(post_starts) - 1), np.diff(np.searchsorted(starts_D, post_starts)))
    within = posts_D[NGRAM_WORDS - 1 :] == posts_D[: 1 - NGRAM_WORDS]
    return ngrams[within], posts_D[: 1 - NGRAM_WORDS][within]


class _Segments:
    """Keys of segments of a text, from prefix sums over its bytes."""

    def __init__(self, letters_C: npt.NDArray[np.uint8]) -> None:
        powers, self._inverses = _powers(_BYTE_FACTOR, _table_length(len(letters_C), BATCH_BYTES))
        values = _BYTE_VALUES[letters_C]
        values *= powers[: len(letters_C)]
        self._sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values)])

    def keys(self, starts: Indices, ends: Indices) -> Keys:
        """Keys of the segments [start, end); 0 for an empty one."""
        return _mixed((self._sums[ends] - self._sums[starts]) * self._inverses[starts])


def _mixed(keys: Keys) -> Keys:
    """Spread each bit of a key over all bits; a bijection that maps 0 to 0."""
    keys = keys ^ (keys >> np.uint64(32))
    keys *= _MIX
    keys ^= keys >> np.uint64(29)
    return keys


def _table_length(length: int, least: int) -> int:
    """The smallest power of two that is at least `length` and `least`, so that few tables of powers are computed."""
    return 1 << (max(length, least) - 1).bit_length()


@lru_cache(maxsize=4)
def _powers(factor: np.uint64, length: int) -> tuple[Keys, Keys]:
    """Powers 0, 1, 2 ... of `factor` and of its inverse, modulo 2**64."""
    inverse = np.uint64(pow(int(factor), -1, 2**64))
    tables = []
    for base in (factor, inverse):
        table = np.full(length, base, np.uint64)
        table[0] = 1
        tables.append(np.cumprod(table, out=table))
    return tables[0], tables[1]
