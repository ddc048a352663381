"""Posts in Parquet shards."""

from pathlib import Path

import pytest

import corpora.post
from corpora.post import Post, read_posts, write_posts
from stackbert.core.errors import StackbertError

POSTS = [
    Post(str(number), "question", "Title", f"Text {number} \U0001f600", ("a", "b"), score=-number)
    for number in range(7)
]


def test_posts_are_read_as_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora.post, "POSTS_PER_SHARD", 3)
    assert write_posts(POSTS, tmp_path / "new") == 7
    assert len(list((tmp_path / "new").glob("posts-*.parquet"))) == 3
    assert list(read_posts(tmp_path / "new")) == POSTS


def test_whole_text_joins_title_and_body() -> None:
    assert Post("1", "answer", "", "text").whole_text == "text"
    assert Post("1", "question", "title", "").whole_text == "title"
    assert Post("1", "question", "title", "text").whole_text == "title\ntext"


def test_a_folder_without_shards_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StackbertError, match=r"holds no posts-\*.parquet"):
        list(read_posts(tmp_path))
