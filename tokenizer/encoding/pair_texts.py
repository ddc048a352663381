"""Pairs of texts that belong together: the title and the body of a post."""

# N posts, I ids of all texts

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora.arrays import Keys
from corpora.contamination.evaluation_index import identifying_keys
from corpora.post import Post
from corpora.text_keys import text_keys
from tokenizer.encoding.reader import TextReader
from tokenizer.encoding.truncation import truncate_texts

Ids = npt.NDArray[np.unsignedinteger[Any]]


def has_pair(post: Post) -> bool:
    """Whether a post has a title and a body of its own; an answer's title is that of its question."""
    return post.kind != "answer" and bool(post.title.strip()) and bool(post.text.strip())


def encode_pairs(
    posts: Sequence[Post], reader: TextReader, pair_tokens: int, dtype: np.dtype[np.unsignedinteger[Any]]
) -> tuple[list[Ids], Ids]:
    """The ids of each post's pair, and all ids of the posts (I,) before truncation.

    A pair is [CLS] title [SEP] [CLS] body [SEP], each of the two of at most `pair_tokens`. A post whose title or body
    has no token has no pair.
    """
    halves: list[list[Ids]] = []
    encoded_ids: list[Ids] = []
    for texts in ([post.title for post in posts], [post.text for post in posts]):
        encoded = reader.cached_tokenizer.encode(texts)
        ids_I = encoded.ids_I.astype(dtype)
        starts, lengths, numbers = truncate_texts(encoded, pair_tokens - 2, reader.begins_word, first_only=True)
        own: list[Ids] = [np.zeros(0, dtype)] * len(texts)
        for start, length, number in zip(starts.tolist(), lengths.tolist(), numbers.tolist(), strict=True):
            own[number] = ids_I[start : start + length]
        halves.append(own)
        encoded_ids.append(ids_I)
    first, last = np.array([reader.first_id], dtype), np.array([reader.last_id], dtype)
    pairs = [
        np.concatenate([first, title, last, first, body, last])
        for title, body in zip(*halves, strict=True)
        if len(title) and len(body)
    ]
    return pairs, np.concatenate(encoded_ids)


def pair_keys(posts: Sequence[Post]) -> Keys:
    """Keys of the posts' whole texts, titles and bodies, by which evaluation posts among them are found."""
    titles = [post.title for post in posts]
    keys_N: Keys = np.concatenate([*identifying_keys(titles, text_keys(titles, [post.text for post in posts]))])
    found: Keys = keys_N[keys_N != 0]
    return found
