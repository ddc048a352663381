"""Disguises of evaluation questions, as they occur in other text."""

import itertools
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace

from corpora.post import Post

EXACT, RECASED, REWRAPPED, CODE, LINKED, LINKING, ANSWER, QUOTED, EDITED = (
    "exact", "re-cased", "re-wrapped", "code only", "linked", "linking", "answer", "quoted", "edited",
)  # fmt: skip
ALWAYS_FOUND = (EXACT, RECASED, LINKED, LINKING, ANSWER)
"""The other disguises must be found in at least 95 of 100 cases."""
EDITED_EVERY = 40  # words; one is replaced by another
WORD = re.compile(r"[^\W_]+")

OTHER_TEXT = "A text of its own: nothing in it was ever seen in any other question, nor will be, number {}."
AROUND = "Somebody asked me this number {} times over today, so here it is in full for whoever may know more about it:"


def disguises(post: Post, code: str) -> Mapping[str, Post]:
    """Kind -> a post with its own id that contaminates `post`; `code` is the code of `post`."""
    word_numbers = itertools.count()
    edited = WORD.sub(lambda word: "thing" if next(word_numbers) % EDITED_EVERY == 7 else word[0], post.text)
    plain = replace(post, tags=(), duplicate_of=())
    found = {
        EXACT: plain,
        RECASED: replace(plain, title=post.title.upper(), text=post.text.upper()),
        REWRAPPED: replace(plain, title="", text=textwrap.fill(post.text, 40)),
        CODE: replace(plain, title="", text=code),
        LINKING: replace(plain, title="", text=OTHER_TEXT.format(post.id), duplicate_of=(post.id,)),
        LINKED: replace(plain, title="", text=OTHER_TEXT.format(f"{post.id} again")),
        ANSWER: Post("", "answer", post.title, OTHER_TEXT.format(f"{post.id} too"), parent_id=post.id),
        QUOTED: replace(plain, title="", text=f"{AROUND.format(post.id)} {post.text} Any idea, my dear {post.id}?"),
        EDITED: replace(plain, title="", text=edited),
    }
    return {kind: replace(plant, id=plant_id(kind, post.id)) for kind, plant in found.items() if plant.text.strip()}


def plant_id(kind: str, post_id: str) -> str:
    """The id of a disguised post."""
    return f"{kind} {post_id}"


def link_to_plants(posts: Sequence[Post]) -> list[Post]:
    """The posts, each marked as a duplicate of its LINKED disguise."""
    return [replace(post, duplicate_of=(plant_id(LINKED, post.id),)) for post in posts]
