"""The first parts of a source, for a first look."""

import json
from pathlib import Path

import pytest

from corpora.build.build import build_corpus
from corpora.config import CorpusConfig
from corpora.post import read_posts
from corpora.sources.source import Parts, Source, Stream, first_parts
from stackbert.core.errors import StackbertError


def test_first_parts_of_independent_parts_and_of_a_stream():
    read = []

    def stream():
        for number in range(5):
            read.append(number)
            yield [number]

    parts = first_parts(Source({}, list, Parts(5, lambda number: [number])), 2).rows
    assert isinstance(parts, Parts) and [parts.read(number) for number in range(parts.count)] == [[0], [1]]
    streamed = first_parts(Source({}, list, Stream(stream)), 2).rows
    assert isinstance(streamed, Stream) and list(streamed.read()) == [[0], [1]]
    assert read == [0, 1]


def test_more_parts_than_there_are_is_all_of_them():
    rows = first_parts(Source({}, list, Parts(3, lambda number: [number])), 9).rows
    assert isinstance(rows, Parts) and rows.count == 3


def test_a_corpus_of_the_first_parts_holds_the_first_posts(tmp_path: Path):
    lines = [json.dumps({"title": f"how to sort the rows of table {number}"}) for number in range(100)]
    (tmp_path / "posts.jsonl").write_text("\n".join(lines), "utf-8")
    config = CorpusConfig("table", "posts.jsonl", title_column="title", part_megabytes=0.001, max_parts=2, processes=2)
    build_corpus(tmp_path / "out", config, tmp_path)
    titles = [post.title for post in read_posts(tmp_path / "out")]
    assert 40 < len(titles) < 80
    assert sorted(titles, key=lambda title: int(title.split()[-1])) == [
        f"how to sort the rows of table {number}" for number in range(len(titles))
    ]


def test_negative_number_is_refused():
    with pytest.raises(StackbertError, match="max_parts must be 0 or more, not -1"):
        CorpusConfig(max_parts=-1)
