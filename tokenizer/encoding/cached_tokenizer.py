"""Texts to token ids, stretch by stretch: what white space parts is read once and remembered.

A tokenizer of BERT's kind never looks across white space, and running text repeats itself: nine stretches in ten were
seen before. Each distinct stretch is looked up; the new ones are split into words, which repeat still more, and only
new words go through the model. Tokenizers of other kinds read whole texts as they always do. Either way the ids are
those of plain encoding.
"""

# N texts, C chunks (stretches without white space), I ids of all texts

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from tokenizer.encoding.ascii_pattern import narrow_to_ascii

MOST_REMEMBERED = 3_000_000  # characters of distinct chunks, and as many of words: more cost memory and gained no speed
SEPARATOR = np.uint32(0xFFFFFFFF)

BERT_PUNCTUATION = r"[!-/:-@\[-`{-~]"
BERT_WORD = rf"{BERT_PUNCTUATION}|[^!-/:-@\[-`{{-~\n]+"


class TokenizedTexts(NamedTuple):
    """Token ids of some texts, and where the texts' own parts begin among them."""

    ids_I: np.ndarray
    """uint32"""
    texts_N1: np.ndarray
    """Where each text begins, and where the last ends."""
    chunks_C: np.ndarray
    """Where each stretch without white space begins; ascending, not always strictly: some have no token."""
    newlines_C: np.ndarray
    """Line ends between the stretch and the one before: 1 begins a line, 2 a paragraph."""

    def of_each_text(self) -> Iterator[np.ndarray]:
        """The ids, text by text."""
        for number in range(len(self.texts_N1) - 1):
            yield self.ids_I[self.texts_N1[number] : self.texts_N1[number + 1]]


class ChunkReader:
    """Reads texts with `tokenizer`; `by_chunk` False reads them whole, as is done where chunks would be unsound."""

    def __init__(self, tokenizer: Tokenizer, by_chunk: bool = True):
        parts = json.loads(tokenizer.to_str())
        self._tokenizer, self._model = tokenizer, tokenizer.model
        self.by_chunk = by_chunk and reads_by_chunk(parts)
        self._word_pattern = _word_pattern(parts["pre_tokenizer"]) if self.by_chunk else None
        self._lowercase = bool(self.by_chunk and parts["normalizer"]["lowercase"])
        self._chunks = _Memory(self._ids_of_new_chunks)
        self._words = _Memory(self._ids_of_new_words)

    def read(self, texts: list[str]) -> TokenizedTexts:
        """Token ids of the texts, without special tokens, uncut."""
        # half of a surrogate pair, as broken text brings it, is no character: the tokenizer would refuse it
        encoded = [text.encode("utf-8", "replace") for text in texts]
        if not self.by_chunk:
            return self._read_whole([text.decode() for text in encoded])
        buffer = np.frombuffer(b"\n".join(encoded), np.uint8)
        starts_C, ends_C, newlines_C = _stretches(buffer)
        ids_I, tokens_C = self._ids_of_chunks(_chunk_array(buffer, ends_C - starts_C))
        chunks_C1 = _offsets(tokens_C)
        # each text but the last is followed by the byte that joins them
        texts_N1 = _offsets(np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1)
        return TokenizedTexts(ids_I, chunks_C1[np.searchsorted(starts_C, texts_N1)], chunks_C1[:-1], newlines_C)

    def _ids_of_chunks(self, chunks: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
        """The chunks' ids one after the other, and how many each has."""
        table = chunks.dictionary_encode()
        spelled = self._chunks.look_up(table.dictionary.to_pylist())
        # K kinds: the distinct chunks
        tokens_K = np.fromiter(map(len, spelled), np.int64, len(spelled)) // 4
        kinds_C = table.indices.to_numpy()
        tokens_C = tokens_K[kinds_C]
        sources_C = _offsets(tokens_K)[kinds_C]
        return gather(np.frombuffer(b"".join(spelled), np.uint32), sources_C, tokens_C), tokens_C

    def _ids_of_new_chunks(self, chunks: list[str]) -> list[bytes]:
        by_word = [self._word_pattern is not None and chunk.isascii() and chunk.isprintable() for chunk in chunks]
        plain = iter(self._ids_by_words([chunk for chunk, is_plain in zip(chunks, by_word, strict=True) if is_plain]))
        others = iter(
            self._ids_by_library([chunk for chunk, is_plain in zip(chunks, by_word, strict=True) if not is_plain])
        )
        return [next(plain if is_plain else others) for is_plain in by_word]

    def _ids_by_library(self, chunks: list[str]) -> list[bytes]:
        encodings = self._tokenizer.encode_batch_fast(chunks, add_special_tokens=False)
        return [np.array(encoding.ids, np.uint32).tobytes() for encoding in encodings]

    def _ids_by_words(self, chunks: list[str]) -> list[bytes]:
        """The ids of chunks of printable ASCII, whose normal form and words need no table of Unicode."""
        if not chunks:
            return []
        assert self._word_pattern is not None
        joined = "\n".join(chunks)
        words = self._word_pattern.findall(joined.lower() if self._lowercase else joined)
        if sum(map(len, words)) != len(joined):  # what the pattern leaves out is a word too, but not found so
            return self._ids_by_library(chunks)
        distinct = [word for word in dict.fromkeys(words) if word != "\n"]
        spelled = self._words.look_up(distinct)
        ids_of_word = {"\n": SEPARATOR.tobytes(), **dict(zip(distinct, spelled, strict=True))}
        ids = b"".join(map(ids_of_word.__getitem__, words))
        ends = (np.flatnonzero(np.frombuffer(ids, np.uint32) == SEPARATOR) * 4).tolist()
        return [ids[start:end] for start, end in zip([0, *(end + 4 for end in ends)], [*ends, len(ids)], strict=True)]

    def _ids_of_new_words(self, words: list[str]) -> list[bytes]:
        tokenize = self._model.tokenize
        return [np.array([token.id for token in tokenize(word)], np.uint32).tobytes() for word in words]

    def _read_whole(self, texts: list[str]) -> TokenizedTexts:
        """Each text through the whole tokenizer; a token belongs to the chunk of its first character in the text."""
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        chunks, newlines, total = [], [], 0
        for text, encoding in zip(texts, encodings, strict=True):
            starts_C, ends_C, newlines_C = _stretches(np.frombuffer(text.encode("utf-32-le"), np.uint32))
            firsts = np.array([start for start, _ in encoding.offsets], np.int64)
            # a token may begin with the space before its chunk: then it is the next chunk's
            owners = np.searchsorted(ends_C, firsts, side="right")
            begins = np.flatnonzero(np.diff(owners, prepend=-1) > 0)
            begins = begins[owners[begins] < len(starts_C)]
            chunks.append(begins + total)
            newlines.append(newlines_C[owners[begins]])
            total += len(firsts)
        ids = np.array([number for encoding in encodings for number in encoding.ids], np.uint32)
        texts_N1 = _offsets(np.array([len(encoding.ids) for encoding in encodings], np.int64))
        none = [np.zeros(0, np.int64)]
        return TokenizedTexts(ids, texts_N1, np.concatenate(chunks or none), np.concatenate(newlines or none))


class _Memory:
    """What `read` gave for each string, bounded; when it is full, only what is in use just then is kept."""

    def __init__(self, read: Callable[[list[str]], list[bytes]]):
        self._read = read
        self._known: dict[str, bytes] = {}
        self._characters = 0

    def look_up(self, keys: list[str]) -> list[bytes]:
        """What is known of each of the distinct `keys`; new ones are read together."""
        new = [key for key in keys if key not in self._known]
        self._characters += sum(map(len, new))
        if self._characters > MOST_REMEMBERED:
            self._known = {key: self._known[key] for key in keys if key in self._known}
            self._characters = sum(map(len, keys))
        self._known.update(zip(new, self._read(new), strict=True))
        return [self._known[key] for key in keys]


def chunk_array(buffer: np.ndarray) -> pa.StringArray:
    """The stretches without white space of a text, given as its UTF-8 bytes.

    >>> chunk_array(np.frombuffer(b" a  bc\\n", np.uint8)).to_pylist()
    ['a', 'bc']
    """
    edges = np.flatnonzero(np.diff(~_is_space(buffer), prepend=False, append=False))
    return _chunk_array(buffer, edges[1::2] - edges[::2])


def reads_by_chunk(parts: dict[str, Any]) -> bool:
    """Whether a tokenizer, from the parts its tokenizer.json declares, reads each stretch without white space alone.

    The normalizer must change characters one by one, or within a letter and its accents; the first splitter must part
    at white space and further ones only look inside; no added token may be sought in the text before.
    """
    splitter = parts["pre_tokenizer"] or {}
    steps = splitter["pretokenizers"] if splitter.get("type") == "Sequence" else [splitter]
    return (
        (parts["normalizer"] or {}).get("type") == "BertNormalizer"
        and steps[0].get("type") in ("BertPreTokenizer", "WhitespaceSplit")
        and all(step["type"] in ("Split", "Punctuation", "Digits") for step in steps[1:])
        and all(token["special"] for token in parts["added_tokens"])
        and not parts["model"].get("dropout")
    )


def gather(ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The stretches ids[start : start + length], one after the other.

    >>> gather(np.array([5, 6, 7, 8]), np.array([2, 0]), np.array([2, 3])).tolist()
    [7, 8, 5, 6, 7]
    """
    places = _offsets(lengths)
    return ids[np.repeat(starts - places[:-1], lengths) + np.arange(places[-1])]


def _chunk_array(buffer: np.ndarray, bytes_C: np.ndarray) -> pa.StringArray:
    offsets = pa.py_buffer(_offsets(bytes_C).astype(np.int32))
    return pa.StringArray.from_buffers(len(bytes_C), offsets, pa.py_buffer(buffer[~_is_space(buffer)]))


def _offsets(lengths: np.ndarray) -> np.ndarray:
    """Where each of several stretches begins, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _is_space(units: np.ndarray) -> np.ndarray:
    """White space of ASCII, as every splitter knows it; what else Unicode calls so stays inside a chunk."""
    return (units == ord(" ")) | (units == ord("\n")) | (units == ord("\t")) | (units == ord("\r"))


def _stretches(units: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start and end of each stretch without white space, and the line ends between it and the one before."""
    is_word = ~_is_space(units)
    edges = np.flatnonzero(np.diff(is_word, prepend=False, append=False))
    starts, ends = edges[::2], edges[1::2]
    line_ends = np.cumsum(units == ord("\n"), dtype=np.int32)
    return starts, ends, np.diff(line_ends[starts], prepend=np.int32(0))


def _word_pattern(splitter: dict[str, Any]) -> re.Pattern[str] | None:
    """What finds the words of chunks of printable ASCII and the line ends between them; None where none is known."""
    if splitter["type"] == "BertPreTokenizer":
        return re.compile(rf"{BERT_WORD}|\n")
    steps = splitter.get("pretokenizers", [splitter])
    if len(steps) != 2 or steps[1]["type"] != "Split" or steps[1]["invert"] or steps[1]["behavior"] != "Isolated":
        return None
    source = narrow_to_ascii(steps[1]["pattern"].get("Regex", ""))
    return re.compile(rf"{source}|\n", re.ASCII) if source else None
