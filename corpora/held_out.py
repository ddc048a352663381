"""Recognises held-out posts, and what gives them away, in other text."""

from collections.abc import Iterator

from corpora.duplicates import SeenKeys, exact_key, normalized, normalized_key
from corpora.post import Post

MIN_TITLE = 15  # characters: a shorter title ("Lists vs tuples" has 15) is shared by posts that have nothing in common
MIN_BLOCK = 60  # letters and digits in a paragraph or code block; shorter ones ("Thanks in advance") are common speech
COPIED_SHARE = 0.5  # of a post's letters and digits in blocks that a held-out post has as well


class HeldOut:
    """The posts of one or more evaluation splits, as keys.

    Found are: the post itself and answers to it, by id; posts with the same title, text or both, whatever their case,
    line breaks and punctuation; and posts of which half or more stands in a held-out post, block by block, such as its
    code alone.
    """

    def __init__(self) -> None:
        self._ids = SeenKeys()
        self._texts = SeenKeys()
        self._blocks = SeenKeys()

    def add(self, post: Post) -> None:
        """Hold `post` out."""
        self._ids.add(exact_key(post.id))
        for key in _text_keys(post):
            self._texts.add(key)
        for key, _ in _blocks(post):
            self._blocks.add(key)

    def reason(self, post: Post) -> str | None:
        """Why `post` must not be read by a model that is then tested on the held-out posts; None where it may."""
        if exact_key(post.id) in self._ids:
            return "held_out_id"
        if post.parent_id is not None and exact_key(post.parent_id) in self._ids:
            return "held_out_answer"
        return self.text_reason(post)

    def text_reason(self, post: Post) -> str | None:
        """The same by text alone."""
        if any(key in self._texts for key in _text_keys(post)):
            return "held_out_text"
        blocks = list(_blocks(post))
        copied = sum(length for key, length in blocks if key in self._blocks)
        if copied and copied >= COPIED_SHARE * len(normalized(post.whole_text)):
            return "held_out_part"
        return None


def _text_keys(post: Post) -> Iterator[bytes]:
    if post.title and post.text:
        yield normalized_key(post.whole_text)
    for part, shortest in ((post.title, MIN_TITLE), (post.text, 1)):
        if len(part) >= shortest:
            yield normalized_key(part)


def _blocks(post: Post) -> Iterator[tuple[bytes, int]]:
    """Key and length of each paragraph or code block that is long enough to know again."""
    for block in post.text.split("\n\n"):
        text = normalized(block)
        if len(text) >= MIN_BLOCK:
            yield exact_key(text), len(text)
