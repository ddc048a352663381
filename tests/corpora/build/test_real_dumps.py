"""Whole builds of published dumps, counted by other means."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from corpora.build.build import build_corpus
from corpora.config import CorpusConfig
from corpora.post import read_posts
from tests.paths import SHARED

DUMPS = SHARED / "so" / "dumps"
NAMES = ("3dprinting", "posts-small", "stackoverflow-headless", "stackoverflow-sample")


def _rooted(content: bytes) -> bytes:
    return b"<posts>" + b"\n".join(re.findall(rb"<row .*/>", content)) + b"</posts>"


@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_a_real_dump_is_accounted_for(tmp_path: Path, name: str) -> None:
    path = DUMPS / f"{name}.xml"
    if not path.exists():
        pytest.skip(f"the sample dump {name}.xml is not here")
    content = path.read_bytes()
    counts = build_corpus(tmp_path / "out", CorpusConfig(source="dump", path=path.name, min_characters=1), DUMPS).counts
    assert content.count(b"<row ") == counts["read"] == counts["kept"] + sum(counts["dropped"].values())
    posts = list(read_posts(tmp_path / "out"))
    for kind, number in (("question", b"1"), ("answer", b"2")):
        assert sum(post.kind == kind for post in posts) == content.count(b'PostTypeId="%s"' % number)
    questions = [post for post in posts if post.kind == "question"]
    assert sum(bool(post.tags) for post in questions) == len(re.findall(rb' Tags="[^"]', content))
    rows = {row.get("Id"): row for row in ElementTree.fromstring(_rooted(content))}  # noqa: S314 - known files
    for post in posts:
        parent = rows.get(post.parent_id)
        if parent is not None:  # an answer's title and tags are its question's
            assert post.title == " ".join(parent.get("Title", "").split())
            assert list(post.tags) == re.findall(r"[^<>|]+", parent.get("Tags", ""))
    assert not any("<p>" in post.text.split("\n")[0][:3] for post in posts)
    if name.startswith("stackoverflow"):
        assert max(post.text.count("\n    ") for post in posts) > 3  # code keeps its lines and indentation
