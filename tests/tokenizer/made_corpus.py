"""Posts made for the tests, and corpora of them."""

import random
from pathlib import Path

from corpora.post import Post, write_posts
from stackbert.core.artifact import build_artifact

SENTENCES = (
    "how to connect to mysql from node.js with c++ or c# in asp.net",
    "a std::vector of numpy arrays, printed by c++ (not c#) on .net",
    "connecting connections connected reconnect printing printer",
)


def random_posts() -> list[Post]:
    """300 questions of 20 random words of SENTENCES."""
    draw = random.Random(3)
    texts = [" ".join(draw.choices(" ".join(SENTENCES).split(), k=20)) for _ in range(300)]
    return [Post(str(n), "question", text, "", ("mysql", "std::vector")) for n, text in enumerate(texts)]


def write_corpus(folder: Path, posts: list[Post]) -> Path:
    """Write the posts to `folder` as an output of 'corpora build'."""
    build_artifact(folder, "corpora build", {}, {}, lambda out: {"kept": write_posts(posts, out)})
    return folder
