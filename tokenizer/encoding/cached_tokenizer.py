"""Texts to token ids with a cache: each distinct chunk of a text, and each distinct word, is tokenized once.

A chunk is a run of characters without white space. A tokenizer of BERT's kind never matches across white space, and
nine chunks in ten of running text occurred before. The ids of each distinct chunk are cached; new chunks are split
into words, which repeat even more, and only new words are given to the model. Other kinds of tokenizers encode whole
texts, without a cache. The ids are always those of plain encoding.
"""

# N texts, C chunks, I ids of all texts, K distinct chunks; a 1 after a letter: one more (offsets with their end)

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import Tokenizer

from tokenizer.encoding.ascii_pattern import narrow_to_ascii
from tokenizer.encoding.script_runs import SCRIPT_RUNS

MAX_CACHED_CHARACTERS = 3_000_000  # of distinct chunks, and as many of words; more took memory and was no faster
SEPARATOR = np.uint32(0xFFFFFFFF)
ID_BYTES = 4

BERT_PUNCTUATION = r"[!-/:-@\[-`{-~]"
BERT_WORD = rf"{BERT_PUNCTUATION}|[^!-/:-@\[-`{{-~\n]+"

Indices = npt.NDArray[np.integer[Any]]
Units = npt.NDArray[np.unsignedinteger[Any]]
"""A text as bytes of UTF-8 (uint8) or as code points (uint32)."""
Flags = npt.NDArray[np.bool_]


class EncodedTexts(NamedTuple):
    """Token ids of several texts in one array, with the indices where texts and chunks start."""

    ids_I: npt.NDArray[np.uint32]
    texts_N1: Indices
    """Index of each text's first id; the last entry is the number of ids."""
    chunks_C: Indices
    """Index of each chunk's first id. Ascending; equal neighbours where a chunk has no token."""
    newlines_C: Indices
    """Line ends between the chunk and the one before: 1 starts a line, 2 or more a paragraph."""

    def of_each_text(self) -> Iterator[npt.NDArray[np.uint32]]:
        """The ids, text by text."""
        for number in range(len(self.texts_N1) - 1):
            yield self.ids_I[self.texts_N1[number] : self.texts_N1[number + 1]]


class CachedTokenizer:
    """Encodes texts with `tokenizer`, chunk by chunk through a cache where `is_cacheable` and `by_chunk` allow it."""

    def __init__(self, tokenizer: Tokenizer, by_chunk: bool = True) -> None:
        components = json.loads(tokenizer.to_str())
        self._tokenizer, self._model = tokenizer, tokenizer.model
        self.by_chunk = by_chunk and is_cacheable(components)
        self._word_pattern = _word_pattern(components["pre_tokenizer"]) if self.by_chunk else None
        self._lowercase = bool(self.by_chunk and components["normalizer"]["lowercase"])
        self._chunks = _Cache(self._encode_new_chunks)
        self._words = _Cache(self._encode_new_words)

    def encode(self, texts: list[str]) -> EncodedTexts:
        """Token ids of the texts, without special tokens and without truncation."""
        # broken text may hold half of a surrogate pair, which the tokenizer would refuse
        encoded = [text.encode("utf-8", "replace") for text in texts]
        if not self.by_chunk:
            return self._encode_whole([text.decode() for text in encoded])
        buffer = np.frombuffer(b"\n".join(encoded), np.uint8)
        starts_C, ends_C, newlines_C = _find_chunks(buffer)
        ids_I, tokens_C = self._encode_chunks(_string_array(buffer, ends_C - starts_C))
        chunks_C1 = _offsets(tokens_C)
        # each text but the last is followed by the byte that joins them
        texts_N1 = _offsets(np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1)
        return EncodedTexts(ids_I, chunks_C1[np.searchsorted(starts_C, texts_N1)], chunks_C1[:-1], newlines_C)

    def _encode_chunks(self, chunks: pa.StringArray) -> tuple[npt.NDArray[np.uint32], Indices]:
        """The ids of all chunks in one array, and the number of ids of each."""
        table = chunks.dictionary_encode()
        ids_K = self._chunks.look_up(table.dictionary.to_pylist())
        tokens_K = np.fromiter(map(len, ids_K), np.int64, len(ids_K)) // ID_BYTES
        distinct_C = table.indices.to_numpy()
        tokens_C = tokens_K[distinct_C]
        sources_C = _offsets(tokens_K)[distinct_C]
        return gather_slices(np.frombuffer(b"".join(ids_K), np.uint32), sources_C, tokens_C), tokens_C

    def _encode_new_chunks(self, chunks: list[str]) -> list[bytes]:
        is_plain = [self._word_pattern is not None and chunk.isascii() and chunk.isprintable() for chunk in chunks]
        plain = iter(self._encode_by_words([chunk for chunk, flag in zip(chunks, is_plain, strict=True) if flag]))
        others = iter(
            self._encode_by_library([chunk for chunk, flag in zip(chunks, is_plain, strict=True) if not flag])
        )
        return [next(plain if flag else others) for flag in is_plain]

    def _encode_by_library(self, chunks: list[str]) -> list[bytes]:
        encodings = self._tokenizer.encode_batch_fast(chunks, add_special_tokens=False)
        return [np.array(encoding.ids, np.uint32).tobytes() for encoding in encodings]

    def _encode_by_words(self, chunks: list[str]) -> list[bytes]:
        """The ids of chunks of printable ASCII, which Python normalizes and splits without Unicode tables."""
        if not chunks:
            return []
        assert self._word_pattern is not None
        joined = "\n".join(chunks)
        words = self._word_pattern.findall(joined.lower() if self._lowercase else joined)
        if sum(map(len, words)) != len(joined):  # the library also makes words of what the pattern does not match
            return self._encode_by_library(chunks)
        distinct = [word for word in dict.fromkeys(words) if word != "\n"]
        ids_of_word = {
            "\n": SEPARATOR.tobytes(),
            **dict(zip(distinct, self._words.look_up(distinct), strict=True)),
        }
        ids = b"".join(map(ids_of_word.__getitem__, words))
        ends = (np.flatnonzero(np.frombuffer(ids, np.uint32) == SEPARATOR) * ID_BYTES).tolist()
        starts = [0, *(end + ID_BYTES for end in ends)]
        return [ids[start:end] for start, end in zip(starts, [*ends, len(ids)], strict=True)]

    def _encode_new_words(self, words: list[str]) -> list[bytes]:
        tokenize = self._model.tokenize
        return [np.array([token.id for token in tokenize(word)], np.uint32).tobytes() for word in words]

    def _encode_whole(self, texts: list[str]) -> EncodedTexts:
        """Encode each text as a whole; a token belongs to the chunk of its first character."""
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        chunks: list[Indices] = []
        newlines: list[Indices] = []
        total = 0
        for text, encoding in zip(texts, encodings, strict=True):
            starts_C, ends_C, newlines_C = _find_chunks(np.frombuffer(text.encode("utf-32-le"), np.uint32))
            first_characters = np.array([start for start, _ in encoding.offsets], np.int64)
            # a token that starts with the space before a chunk belongs to that chunk
            owners = np.searchsorted(ends_C, first_characters, side="right")
            begins = np.flatnonzero(np.diff(owners, prepend=-1) > 0)
            begins = begins[owners[begins] < len(starts_C)]
            chunks.append(begins + total)
            newlines.append(newlines_C[owners[begins]])
            total += len(first_characters)
        ids = np.array([number for encoding in encodings for number in encoding.ids], np.uint32)
        texts_N1 = _offsets(np.array([len(encoding.ids) for encoding in encodings], np.int64))
        none: list[Indices] = [np.zeros(0, np.int64)]
        return EncodedTexts(ids, texts_N1, np.concatenate(chunks or none), np.concatenate(newlines or none))


class _Cache:
    """Ids (as bytes) by string, from `encode`; when it is full, only the entries of the current look-up are kept."""

    def __init__(self, encode: Callable[[list[str]], list[bytes]]) -> None:
        self._encode = encode
        self._entries: dict[str, bytes] = {}
        self._characters = 0

    def look_up(self, keys: list[str]) -> list[bytes]:
        """The ids of each of the distinct `keys`; new keys are encoded together."""
        new = [key for key in keys if key not in self._entries]
        self._characters += sum(map(len, new))
        if self._characters > MAX_CACHED_CHARACTERS:
            self._entries = {key: self._entries[key] for key in keys if key in self._entries}
            self._characters = sum(map(len, keys))
        self._entries.update(zip(new, self._encode(new), strict=True))
        return [self._entries[key] for key in keys]


def chunk_array(buffer: npt.NDArray[np.uint8]) -> pa.StringArray:
    """The chunks of a text, given as its UTF-8 bytes.

    >>> chunk_array(np.frombuffer(b" a  bc\\n", np.uint8)).to_pylist()
    ['a', 'bc']
    """
    starts_C, ends_C = _chunk_bounds(buffer)
    return _string_array(buffer, ends_C - starts_C)


def is_cacheable(components: dict[str, Any]) -> bool:
    """Whether the tokenizer with these components (from tokenizer.json) encodes each chunk alike in every context.

    The normalizer must change single characters, or a letter with its accents; the first pre-tokenizer must split at
    white space and the others only inside chunks; no added token may be matched in the raw text.
    """
    splitter = components["pre_tokenizer"] or {}
    steps = splitter["pretokenizers"] if splitter.get("type") == "Sequence" else [splitter]
    return (
        (components["normalizer"] or {}).get("type") == "BertNormalizer"
        and steps[0].get("type") in ("BertPreTokenizer", "WhitespaceSplit")
        and all(step["type"] in ("Split", "Punctuation", "Digits") for step in steps[1:])
        and all(token["special"] for token in components["added_tokens"])
        and not components["model"].get("dropout")
    )


def gather_slices(ids: npt.NDArray[np.uint32], starts: Indices, lengths: Indices) -> npt.NDArray[np.uint32]:
    """The slices ids[start : start + length], concatenated.

    >>> gather_slices(np.array([5, 6, 7, 8]), np.array([2, 0]), np.array([2, 3])).tolist()
    [7, 8, 5, 6, 7]
    """
    offsets = _offsets(lengths)
    gathered: npt.NDArray[np.uint32] = ids[np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])]
    return gathered


def _string_array(buffer: npt.NDArray[np.uint8], bytes_C: Indices) -> pa.StringArray:
    """The chunks of `buffer`, which have these sizes, without a copy of each."""
    offsets = pa.py_buffer(_offsets(bytes_C).astype(np.int32))
    return pa.StringArray.from_buffers(len(bytes_C), offsets, pa.py_buffer(buffer[~_is_space(buffer)]))


def _offsets(lengths: Indices) -> npt.NDArray[np.int64]:
    """The start of each of several slices, and the end of the last."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _is_space(units: Units) -> Flags:
    """ASCII white space, at which every pre-tokenizer splits; other Unicode white space stays inside a chunk."""
    is_space: Flags = (units == ord(" ")) | (units == ord("\n")) | (units == ord("\t")) | (units == ord("\r"))
    return is_space


def _chunk_bounds(units: Units) -> tuple[Indices, Indices]:
    """Start and end of each chunk."""
    edges = np.flatnonzero(np.diff(~_is_space(units), prepend=False, append=False))
    return edges[::2], edges[1::2]


def _find_chunks(units: Units) -> tuple[Indices, Indices, Indices]:
    """Start and end of each chunk, and the line ends between it and the one before."""
    starts, ends = _chunk_bounds(units)
    line_ends = np.cumsum(units == ord("\n"), dtype=np.int32)
    return starts, ends, np.diff(line_ends[starts], prepend=np.int32(0))


def _word_pattern(splitter: dict[str, Any]) -> re.Pattern[str] | None:
    """Matches the words of chunks of printable ASCII and the line ends between chunks; None if Python cannot."""
    if splitter["type"] == "BertPreTokenizer":
        return re.compile(rf"{BERT_WORD}|\n")
    steps = splitter.get("pretokenizers", [splitter])
    steps = [step for step in steps if step.get("pattern") != {"Regex": SCRIPT_RUNS}]  # which has no ASCII
    if len(steps) != 2 or steps[1]["type"] != "Split" or steps[1]["invert"] or steps[1]["behavior"] != "Isolated":
        return None
    source = narrow_to_ascii(steps[1]["pattern"].get("Regex", ""))
    return re.compile(rf"{source}|\n", re.ASCII) if source else None
