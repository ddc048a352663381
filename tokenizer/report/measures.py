"""Metrics of a tokenizer on a text, by which vocabularies are compared."""

# N texts, V vocabulary

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora.post import Post
from tokenizer.encoding.reader import TextReader
from tokenizer.files.token_notation import BYTE_LEVEL_SPACE, CONTINUATION_PREFIX, SENTENCEPIECE_SPACE

LENGTHS = (128, 256, 512)
NUM_SPECIALS = 2  # [CLS] and [SEP]
TAG_TEXT = "how to use {0} with x, or ({0})?"
KINDS = ("titles", "prose", "code")

DEFINITIONS = {
    "bytes a token": "UTF-8 bytes of the text, with white space, divided by its tokens, without special tokens",
    "tokens a word": "tokens divided by words; a word is a letter and the letters and digits that follow it",
    "titles": "titles of questions and documents",
    "code": "paragraphs of a body in which at least half of the lines are indented or end in one of ; { } ) , >",
    "prose": "the other paragraphs",
    "tags in one token": f"share of the most frequent tags that are one token both times in '{TAG_TEXT.format('TAG')}'",
    "distinct words whole": "share of distinct words, case folded, that are one token, not unknown, after a space",
    "running words whole": "the same share, weighted by occurrences",
    "unknown": "share of tokens that are the unknown token",
    "vocabulary used": "share of the vocabulary that occurs in the text at least once",
    "texts in N tokens": "share of texts (title and body) that fit, with two special tokens",
    "shared with base": "share of the vocabulary's tokens that the base has too, with word marks written alike",
}

_WORD = re.compile(r"[^\W\d_][^\W_]*")
_CODE_LINE = re.compile(r"^(?:\t|  )|[;{}),>]\s*$")


@dataclass(frozen=True)
class Sample:
    """The texts that tokenizers are compared on."""

    texts: list[str]
    """Title and body of each post."""
    sections: dict[str, list[str]]
    """The same texts divided by KINDS: titles, paragraphs of prose and paragraphs of code."""
    words: Counter[str]
    """Occurrences of each word, case folded."""
    tags: list[str]
    """The most frequent tags."""


@dataclass(frozen=True)
class Measures:
    """Metrics of one tokenizer; see DEFINITIONS."""

    vocab_size: int
    bytes_per_token: dict[str, float | None]
    """By kind of text; None if there is no such text."""
    tokens_per_word: dict[str, float | None]
    tags_whole: float | None
    distinct_words_whole: float | None
    running_words_whole: float | None
    unknown_share: float
    vocabulary_used: float
    texts_within: dict[str, float]
    """By length in tokens."""
    shared_with_base: float | None

    def plain(self) -> dict[str, Any]:
        """The metrics as a dictionary, for JSON."""
        return asdict(self)


def take_sample(posts: Sequence[Post], tags: Counter[str], top_tags: int) -> Sample:
    """The sample of `posts`; `tags` are the tags of the whole corpus with their uses."""
    titles = [post.title for post in posts if post.title and post.kind != "answer"]
    blocks = [block for post in posts for block in post.text.split("\n\n") if block.strip()]
    is_code = [looks_like_code(block) for block in blocks]
    sections = {
        "titles": titles,
        "prose": [block for block, code in zip(blocks, is_code, strict=True) if not code],
        "code": [block for block, code in zip(blocks, is_code, strict=True) if code],
    }
    texts = [post.whole_text for post in posts]
    words = Counter(word for text in texts for word in _WORD.findall(text.casefold()))
    frequent = sorted(tags, key=lambda tag: (-tags[tag], tag))[:top_tags]
    return Sample(texts, sections, words, frequent)


def looks_like_code(block: str) -> bool:
    """Whether a paragraph is code rather than prose.

    >>> looks_like_code("if (x) {\\n    y();\\n}"), looks_like_code("How do I sort\\na list (by size)?")
    (True, False)
    """
    lines = [line for line in block.split("\n") if line.strip()]
    return 2 * sum(_CODE_LINE.search(line) is not None for line in lines) >= max(len(lines), 1)


def measure(reader: TextReader, sample: Sample, base: TextReader | None) -> Measures:
    """The metrics of one tokenizer on the sample; `base` is compared with for shared tokens."""
    bytes_per_token: dict[str, float | None] = {}
    tokens_per_word: dict[str, float | None] = {}
    for kind in KINDS:
        texts = sample.sections[kind]
        tokens = sum(map(len, reader.ids_without_specials(texts)))
        words = sum(len(_WORD.findall(text)) for text in texts)
        bytes_per_token[kind] = sum(len(text.encode("utf-8", "replace")) for text in texts) / tokens if tokens else None
        tokens_per_word[kind] = tokens / words if words else None
    lengths_N, uses_V = [], np.zeros(reader.vocab_size, np.int64)
    num_tokens = reader.vocab_size - len(reader.absent_ids)
    for ids in reader.ids_without_specials(sample.texts):
        lengths_N.append(len(ids) + NUM_SPECIALS)
        np.add.at(uses_V, ids, 1)
    is_whole = _are_whole(reader, list(sample.words))
    counts = np.fromiter(sample.words.values(), np.int64, len(sample.words))
    return Measures(
        vocab_size=num_tokens,
        bytes_per_token=bytes_per_token,
        tokens_per_word=tokens_per_word,
        tags_whole=_share(tag_is_whole(reader, tag) for tag in sample.tags),
        distinct_words_whole=float(is_whole.mean()) if len(is_whole) else None,
        running_words_whole=float(is_whole @ counts / counts.sum()) if len(is_whole) else None,
        unknown_share=float(uses_V[reader.unknown_id] / max(uses_V.sum(), 1)),
        vocabulary_used=float((uses_V > 0).sum() / num_tokens),
        texts_within={str(length): float(np.mean(np.array(lengths_N) <= length)) for length in LENGTHS},
        shared_with_base=_shared_share(reader, base) if base else None,
    )


def tag_is_whole(reader: TextReader, tag: str) -> bool:
    """Whether a tag is one token both between words and between brackets."""
    text, (before, between, _) = TAG_TEXT.format(tag), TAG_TEXT.split("{0}")
    ends = {len(before + tag), len(before + tag + between + tag)}
    encoding = reader.tokenizer.encode(text, add_special_tokens=False)
    pairs = zip(encoding.offsets, encoding.ids, strict=True)
    known = (offsets for offsets, number in pairs if number != reader.unknown_id)
    return sum(end in ends and text[start:end].strip() == tag for start, end in known) == 2


def _are_whole(reader: TextReader, words: list[str]) -> npt.NDArray[np.bool_]:
    """Whether each word is one token, not unknown, after a space."""
    ids = reader.ids_without_specials([f" {word}" for word in words])
    return np.array([len(found) == 1 and found[0] != reader.unknown_id for found in ids], bool)


def _shared_share(reader: TextReader, base: TextReader) -> float:
    """Share of the vocabulary's tokens that the base has too."""
    known, tokens = ([token for token in each.tokens() if token] for each in (base, reader))
    shared = set(_in_wordpiece_notation(known))
    return _share(token in shared for token in _in_wordpiece_notation(tokens)) or 0.0


def _in_wordpiece_notation(tokens: list[str]) -> Iterator[str]:
    """The tokens with WordPiece's marks: no space before a word, a prefix on tokens that continue one."""
    spaces = (BYTE_LEVEL_SPACE, SENTENCEPIECE_SPACE)
    marks = tuple(mark for mark in spaces if sum(token.startswith(mark) for token in tokens) > 1)
    for token in tokens:
        if not marks:
            yield token
        else:
            yield token[1:] if token.startswith(marks) else CONTINUATION_PREFIX + token


def _share(found: Iterable[bool]) -> float | None:
    """Share of true values; None if there are none."""
    values = list(found)
    return sum(values) / len(values) if values else None
