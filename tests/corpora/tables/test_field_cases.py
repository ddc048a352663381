"""Tables as people export them become the posts that they hold, or are refused."""

import shutil
from pathlib import Path

import pytest

from corpora.build.build import build_corpus
from corpora.config import CorpusConfig
from corpora.post import Post, read_posts
from stackbert.core.errors import StackbertError
from tests.paths import SHARED

FIELD = SHARED / "field"
NAMES = ("id", "title", "body", "tags")

needs_field = pytest.mark.skipif(not FIELD.is_dir(), reason="needs ../shared/field")


def build(folder: Path, path: Path, *columns: str, **settings: str) -> list[Post]:
    """The posts of a table with columns of ids, titles, bodies and tags."""
    named = {f"{name}_column": column for name, column in zip(NAMES, columns or NAMES, strict=False)}
    config = CorpusConfig(source="table", path=str(path), processes=1, **named, **settings)  # type: ignore[arg-type]
    shutil.rmtree(folder / "out", ignore_errors=True)
    build_corpus(folder / "out", config)
    return list(read_posts(folder / "out"))


@needs_field
@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("excel_semicolon/tickets.csv", 200),
        ("excel_semicolon/sep_line.csv", 200),
        ("folder_of_csv_shards/shards", 180),
        ("json_array/issues.json", 200),
        ("json_array/one_line.json", 200),
        ("json_array/issues.jsonl.gz", 200),
        ("stray_quote_big/tickets.csv", 1_500),
    ],
)
def test_each_row_of_a_table_from_the_field_is_a_post(tmp_path: Path, path: str, count: int) -> None:
    posts = build(tmp_path, FIELD / path)
    assert len({post.id for post in posts}) == count
    assert max(len(post.text) for post in posts) < 400


@needs_field
def test_each_label_of_jira_is_a_tag(tmp_path: Path) -> None:
    path = FIELD / "jira_repeated_columns" / "export.csv"
    posts = build(tmp_path, path, "Issue key", "Summary", "Description", "Labels")
    lines = path.read_text("utf-8").splitlines()[1:]
    expected = [[label for label in line.split(",")[-3:] if label] for line in lines]
    assert [list(post.tags) for post in posts] == expected
    assert max(map(len, expected)) > 1


@needs_field
def test_quotes_in_titles_of_a_tsv_are_part_of_them(tmp_path: Path) -> None:
    path = FIELD / "tsv_quote_characters" / "titles.tsv"
    posts = {post.id: post.title for post in build(tmp_path, path, "id", "title")}
    lines = dict(line.split("\t") for line in path.read_text("utf-8").splitlines()[1:])
    assert len(posts) == 196  # four titles stand there twice
    assert all(lines[post_id] == title for post_id, title in posts.items())


def rows(count: int) -> list[str]:
    return [f'{n},question {n} about sockets,"the body of case {n}, here",python\n' for n in range(count)]


@pytest.mark.parametrize("at", [3, 1_000, 2_998])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_stray_quote_costs_one_row_of_thousands(tmp_path: Path, at: int, encoding: str) -> None:
    lines = rows(3_000)
    lines[at] = lines[at].replace(",question", ',"question')
    path = tmp_path / "tickets.csv"
    path.write_text("id,title,body,tags\n" + "".join(lines), encoding)
    posts = build(tmp_path, path)
    assert {int(post.id) for post in posts} == set(range(3_000)) - {at}
    assert all(post.text == f"the body of case {post.id}, here" for post in posts)


def test_as_many_stray_quotes_as_make_a_thousandth_are_refused_with_their_lines(tmp_path: Path) -> None:
    lines = rows(3_000)
    for at in (10, 500, 501, 2_000):
        lines[at] = lines[at].replace(",question", ',"question')
    path = tmp_path / "tickets.csv"
    path.write_text("id,title,body,tags\n" + "".join(lines))
    with pytest.raises(StackbertError, match=r"4 of 3,000 rows cannot be read(?s:.*)line 12: a field goes on after"):
        build(tmp_path, path)


def test_a_dialect_that_is_named_reads_what_cannot_be_decided(tmp_path: Path) -> None:
    path = tmp_path / "titles.tsv"
    path.write_text('id\ttitle\n1\t"Hello to each of you"\n2\tgood bye to each of you\n')
    with pytest.raises(StackbertError, match="name which: quote double or none"):
        build(tmp_path, path, "id", "title")
    assert not (tmp_path / "out").exists()
    titles = {quote: build(tmp_path, path, "id", "title", quote=quote)[0].title for quote in ("double", "none")}
    assert titles == {"double": "Hello to each of you", "none": '"Hello to each of you"'}
