"""Made-up questions that have no text in common, and corpora and labelled sets of them."""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from corpora.build.build import STAGE
from corpora.config import LabelConfig
from corpora.labels.labelled_set import load_labelled
from corpora.post import Post, write_posts
from stackbert.core.artifact import build_artifact

LABELS = LabelConfig(num_labels=3)
WORDS = [
    first + second for first in ("ba", "ko", "ri", "tu", "me") for second in ("lan", "dor", "vis", "nep", "sol", "que")
]


def sentence(numbers: random.Random, length: int) -> str:
    """Random words."""
    return " ".join(numbers.choices(WORDS, k=length))


@cache
def question(number: int, tags: tuple[str, ...] = ("a",), prefix: str = "") -> Post:
    """A question that has no title, paragraph or code in common with any other."""
    numbers = random.Random(f"{prefix}{number}")
    code = "\n".join(f"    {sentence(numbers, 2).replace(' ', '.')}({number}, {line})" for line in range(6))
    text = f"{sentence(numbers, 30)}.\n\n{code}\n\n{sentence(numbers, 20)}?"
    return Post(f"{prefix}{number}", "question", sentence(numbers, 7).capitalize(), text, tags)


def tagged_questions(count: int) -> list[Post]:
    """Questions of which a quarter each has the tag b, the tags c and a, and the tag d; half have a."""
    return [question(number, [("a",), ("b",), ("c", "a"), ("d",)][number % 4]) for number in range(count)]


def write_corpus(folder: Path, posts: Sequence[Post]) -> Path:
    """Write posts as an output of 'corpora build'; returns `folder`."""

    def work(out: Path) -> dict[str, Any]:
        return {"kept": write_posts(posts, out)}

    build_artifact(folder, STAGE, LABELS, {"folder": folder.name}, work)
    return folder


def ids(folder: Path, *splits: str) -> set[str]:
    """Ids of the posts in splits of a labelled set."""
    return {post_id for split in splits for post_id in load_labelled(folder, split).ids}
