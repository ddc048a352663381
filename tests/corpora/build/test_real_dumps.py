"""Every row of a dump is accounted for, counted by regular expressions and another XML parser."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from corpora.build.build import build_corpus
from corpora.config import CorpusConfig
from corpora.post import Post, read_posts
from tests.corpora.dumps import sentence
from tests.paths import SHARED

DUMPS = SHARED / "so" / "dumps"
CONFIG = CorpusConfig(source="dump", path="Posts.xml", min_characters=1)
NAMES = ("3dprinting", "posts-small", "stackoverflow-headless", "stackoverflow-sample")


def _rooted(content: bytes) -> bytes:
    return b"<posts>" + b"\n".join(re.findall(rb"<row .*/>", content)) + b"</posts>"


def check_accounting(path: Path, out: Path, config: CorpusConfig = CONFIG) -> list[Post]:
    """Build a corpus of all rows of a dump, and count them by other means; returns its posts."""
    content = path.read_bytes()
    counts = build_corpus(out, replace(config, path=path.name), path.parent).counts
    assert content.count(b"<row ") == counts["read"] == counts["kept"] + sum(counts["dropped"].values())
    posts = list(read_posts(out))
    for kind, number in (("question", b"1"), ("answer", b"2")):
        assert sum(post.kind == kind for post in posts) == content.count(b'PostTypeId="%s"' % number)
    questions = [post for post in posts if post.kind == "question"]
    assert sum(bool(post.tags) for post in questions) == len(re.findall(rb' Tags="[^"]', content))
    rows = {row.get("Id"): row for row in ElementTree.fromstring(_rooted(content))}  # noqa: S314 - known files
    for post in posts:
        parent = rows.get(post.parent_id)
        if parent is not None:  # an answer has the title and tags of its question
            assert post.title == " ".join(parent.get("Title", "").split())
            assert list(post.tags) == re.findall(r"[^<>|]+", parent.get("Tags", ""))
    assert not any("<p>" in post.text.split("\n")[0][:3] for post in posts)
    return posts


def test_every_row_of_a_small_dump_is_accounted_for(tmp_path: Path) -> None:
    rows = [
        f'<row Id="{n}" PostTypeId="1" Title="Title  {n}" Tags="&lt;c#&gt;" Body="{sentence(n)}" />' for n in range(99)
    ]
    rows += [f'<row Id="{n}" PostTypeId="2" ParentId="{n % 120}" Body="{sentence(n)}" />' for n in range(100, 300)]
    rows += ['<row Id="300" PostTypeId="5" Body="A wiki about a tag." />', '<row Id="301" Body="cut']
    (tmp_path / "Posts.xml").write_text("\n".join(["<posts>", *rows, "</posts>"]))
    config = CorpusConfig(source="dump", path="Posts.xml", min_characters=1, max_rejected_share=0.01)
    assert len(check_accounting(tmp_path / "Posts.xml", tmp_path / "out", config)) == 299


@pytest.mark.skipif(not DUMPS.is_dir(), reason="needs ../shared/so/dumps")
@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_a_real_dump_is_accounted_for(tmp_path: Path, name: str) -> None:
    posts = check_accounting(DUMPS / f"{name}.xml", tmp_path / "out")
    if name.startswith("stackoverflow"):
        assert max(post.text.count("\n    ") for post in posts) > 3  # code keeps its lines and indentation
