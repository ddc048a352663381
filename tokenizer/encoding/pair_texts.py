"""Texts that belong together, such as the title and the body of a post: as a pair, or as a title and body tokens."""

# N posts, I ids of all texts

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from corpora.arrays import Keys
from corpora.contamination.evaluation_index import identifying_keys
from corpora.post import Post
from corpora.post_pairs import PairLinks, PairSource, TextPair
from corpora.text_keys import text_keys
from tokenizer.encoding.reader import TextReader
from tokenizer.encoding.truncation import truncate_texts

Ids = npt.NDArray[np.unsignedinteger[Any]]


class TwoTexts(Protocol):
    """A post, or the texts of two."""

    @property
    def title(self) -> str: ...
    @property
    def text(self) -> str: ...


def find_pairs(post: Post, sources: Sequence[PairSource], links: PairLinks | None) -> Iterator[TextPair]:
    """The pairs that a post gives: its title and body, and those of `links`."""
    if "title-body" in sources and has_pair(post):
        yield TextPair("title-body", (post.id,), post.title, post.text)
    if links:
        yield from links.pairs(post)


def has_pair(post: Post) -> bool:
    """Whether a post has a title and a body of its own; an answer's title is that of its question."""
    return post.kind != "answer" and bool(post.title.strip()) and bool(post.text.strip())


def encode_pairs(
    texts: Sequence[TwoTexts], reader: TextReader, pair_tokens: int, dtype: np.dtype[np.unsignedinteger[Any]]
) -> tuple[list[Ids], list[int], Ids]:
    """The ids of each pair, the numbers of the pairs that have some, and all ids (I,) before truncation.

    A pair is [CLS] title [SEP] [CLS] body [SEP], each of the two of at most `pair_tokens`. Without a token in title or
    body there is no pair.
    """
    titles, title_ids_I = _first_tokens([each.title for each in texts], reader, pair_tokens - 2, dtype)
    bodies, body_ids_I = _first_tokens([each.text for each in texts], reader, pair_tokens - 2, dtype)
    first, last = np.array([reader.first_id], dtype), np.array([reader.last_id], dtype)
    numbers = [number for number, both in enumerate(zip(titles, bodies, strict=True)) if all(map(len, both))]
    pairs = [np.concatenate([first, titles[number], last, first, bodies[number], last]) for number in numbers]
    return pairs, numbers, np.concatenate([title_ids_I, body_ids_I])


def encode_titles(
    posts: Sequence[TwoTexts],
    reader: TextReader,
    title_tokens: int,
    bag_tokens: int,
    dtype: np.dtype[np.unsignedinteger[Any]],
) -> tuple[list[tuple[Ids, npt.NDArray[np.uint32]]], Ids]:
    """The ids of each post's title with its body's distinct tokens, and all ids of the titles (I,) before truncation.

    A title is [CLS] title [SEP], of at most `title_tokens`; the tokens, ascending and without special ones, are those
    of the body's first `bag_tokens`. A post whose title has no token, or whose body none but special ones, is left out.
    """
    titles, title_ids_I = _first_tokens([post.title for post in posts], reader, title_tokens - 2, dtype)
    bodies, _ = _first_tokens([post.text for post in posts], reader, bag_tokens, dtype)
    first, last = np.array([reader.first_id], dtype), np.array([reader.last_id], dtype)
    bags = [np.setdiff1d(body, reader.special_ids).astype(np.uint32) for body in bodies]
    found = [
        (np.concatenate([first, title, last]), bag)
        for title, bag in zip(titles, bags, strict=True)
        if len(title) and len(bag)
    ]
    return found, title_ids_I


def _first_tokens(
    texts: list[str], reader: TextReader, max_tokens: int, dtype: np.dtype[np.unsignedinteger[Any]]
) -> tuple[list[Ids], Ids]:
    """The first ids of each text, and all ids of the texts (I,)."""
    encoded = reader.cached_tokenizer.encode(texts)
    ids_I = encoded.ids_I.astype(dtype)
    starts, lengths, numbers = truncate_texts(encoded, max_tokens, reader.begins_word, first_only=True)
    own: list[Ids] = [np.zeros(0, dtype)] * len(texts)
    for start, length, number in zip(starts.tolist(), lengths.tolist(), numbers.tolist(), strict=True):
        own[number] = ids_I[start : start + length]
    return own, ids_I


def pair_keys(posts: Sequence[TwoTexts]) -> Keys:
    """Keys of the whole texts, titles and bodies, by which evaluation posts among them are found."""
    titles = [post.title for post in posts]
    keys_N: Keys = np.concatenate([*identifying_keys(titles, text_keys(titles, [post.text for post in posts]))])
    found: Keys = keys_N[keys_N != 0]
    return found
