"""A labelled set whose posts have further tags, each with words of its own in the text."""

from dataclasses import replace
from pathlib import Path

from corpora.config import LabelConfig
from corpora.labels.label import build_labels
from corpora.post import Post
from tests.tokenizer.made_corpus import write_corpus

LABELS = ("java", "python")
WORDS = {
    "mysql": "connect mysql table",
    "numpy": "numpy list sort",
    "node.js": "node.js print from",
    "c++": "c++ list or",
    "python-2.7": "print them in",
    "pythonic": "sort the list",
    "tables": "rows of table",
}
POSTS = 400


def tags_of(number: int) -> tuple[str, ...]:
    """The tags of a post, besides its label: two of WORDS in most, none in some."""
    names = list(WORDS)
    return tuple({names[number % 7]: 0, names[(number // 7) % 7]: 0}) if number % 11 else ()


def tagged_posts() -> list[Post]:
    posts = []
    for number in range(POSTS):
        own = tags_of(number)
        words = " ".join(WORDS[tag] for tag in own) or "connect to a list"
        label = LABELS[number % 2] if number % 5 else "Python"
        further = ("rare",) if number == 3 else ()
        posts.append(
            Post(str(number), "question", f"{words} {number} to {number * 7 % 400}", "", (label, *own, *further))
        )
    return posts


def tagged_set(folder: Path) -> Path:
    """A labelled set of LABELS; its other tags are those of `tags_of`."""
    write_corpus(folder / "corpus", tagged_posts())
    build_labels([folder / "corpus"], folder / "labels", LabelConfig(labels=LABELS, dev_share=0.1, test_share=0.1))
    return folder / "labels"


def paired_set(folder: Path) -> Path:
    """A labelled set of posts with bodies, whose words are those of their titles in another order; some lack one."""
    posts = [replace(post, text=_body(post)) for post in tagged_posts()]
    answers = [Post(f"a{n}", "answer", posts[n].title, f"use number {n}", posts[n].tags, str(n)) for n in range(5)]
    write_corpus(folder / "corpus", [*posts, *answers])
    build_labels([folder / "corpus"], folder / "labels", LabelConfig(labels=LABELS, dev_share=0.1, test_share=0.1))
    return folder / "labels"


def related_set(folder: Path) -> Path:
    """As `paired_set`, with accepted answers of the titles' words; each fourth question is a duplicate of the next."""
    posts = [
        replace(post, text=_body(post), accepted_answer_id=f"a{n}", duplicate_of=(str(n + 1),) if n % 4 == 1 else ())
        for n, post in enumerate(tagged_posts())
    ]
    texts = [" ".join([*reversed(post.title.split()), "connected"]) for post in posts]
    answers = [
        Post(f"a{post.id}", "answer", post.title, text, post.tags, post.id)
        for post, text in zip(posts, texts, strict=True)
    ]
    write_corpus(folder / "corpus", [*posts, *answers])
    build_labels([folder / "corpus"], folder / "labels", LabelConfig(labels=LABELS, dev_share=0.1, test_share=0.1))
    return folder / "labels"


def _body(post: Post) -> str:
    """The title's words backwards; none for one post in eight."""
    return "" if int(post.id) % 8 == 0 else " ".join(reversed(post.title.split()))
