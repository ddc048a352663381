"""Tables of questions and of tags that are joined, and common export formats."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corpora.build.build import build_corpus
from corpora.config import CorpusConfig
from corpora.files.encoding import encoding_of
from corpora.post import Post, read_posts
from corpora.tables.table import load_tag_table
from corpora.tables.tag_table import TagTable
from stackbert.core.errors import StackbertError

QUESTIONS = (
    "Id,OwnerUserId,Title,Body\n"
    '80,26,How do I sort a list?,"<p>I have a list,\nof numbers.</p>\n"\n'
    "90,58,Naïve façade or not: “which”?,<p>I asked at the café.</p>\n"
    "120,NA,What is an untagged question?,<p>One that nobody tagged.</p>\n"
)
TAGS = "Id,Tag\n80,list\n90,null\n80,python\n90,c#\n80,sorting\n130,java\n"
CONFIG = CorpusConfig(
    source="table",
    path="Questions.csv",
    tags_path="Tags.csv",
    id_column="Id",
    title_column="Title",
    body_column="Body",
    tags_column="Tag",
)


def write(folder: Path, questions: str = QUESTIONS, tags: str = TAGS, encoding: str = "utf-8") -> CorpusConfig:
    (folder / "Questions.csv").write_text(questions, encoding)
    (folder / "Tags.csv").write_text(tags, encoding)
    return replace(CONFIG, path=str(folder / "Questions.csv"), tags_path=str(folder / "Tags.csv"))


def build(folder: Path, config: CorpusConfig) -> list[Post]:
    build_corpus(folder / "out", config)
    return list(read_posts(folder / "out"))


def test_tags_are_joined_by_id_in_the_order_of_their_table(tmp_path: Path) -> None:
    posts = build(tmp_path, write(tmp_path))
    assert {post.id: post.tags for post in posts} == {
        "80": ("list", "python", "sorting"),
        "90": ("null", "c#"),
        "120": (),
    }
    assert all(post.kind == "question" for post in posts)


def test_each_table_has_its_own_dialect(tmp_path: Path) -> None:
    config = write(tmp_path, tags=TAGS.replace(",", "\t"))
    assert build(tmp_path, config)[0].tags == ("list", "python", "sorting")


def test_both_tables_are_named_in_the_manifest(tmp_path: Path) -> None:
    assert set(build_corpus(tmp_path / "out", write(tmp_path)).inputs) == {"source", "tags"}


def test_latin_1_is_distinguished_from_damaged_utf_8_and_read(tmp_path: Path, capsys) -> None:
    many = QUESTIONS + "".join(f"{1000 + n},1,Une question répétée {n},<p>Déjà vu numéro {n}</p>\n" for n in range(20))
    posts = build(tmp_path, write(tmp_path, many, encoding="cp1252"))
    assert posts[1].title == "Naïve façade or not: “which”?" and posts[1].text == "I asked at the café."
    assert 'Questions.csv: read as comma-separated, quoted with ", Windows-1252, 4 columns' in capsys.readouterr().err
    damaged = (many * 3).encode().replace("é".encode(), b"\xe9", 25)
    (tmp_path / "damaged.csv").write_bytes(damaged)
    assert encoding_of(tmp_path / "damaged.csv") == "utf-8-sig"
    (tmp_path / "plain.csv").write_text(TAGS)
    assert encoding_of(tmp_path / "plain.csv") == "utf-8-sig"


@pytest.mark.parametrize(
    ("options", "tags", "message"),
    [
        ({"id_column": None}, TAGS, "tags_path needs id_column and tags_column"),
        ({"tags_path": "none.csv"}, TAGS, "none.csv: no such file; tags_path should be a table of the tags"),
        ({}, TAGS.replace("Tag", "Tags"), r"Tags\.csv: no column 'Tag' for tags_column; nearest is 'Tags'"),
        ({"tags_path": "."}, TAGS, "is a folder without .*; name the file in it that holds the table"),
        ({"id_column": "ID"}, TAGS, "Questions\\.csv: no column 'ID' for id_column; nearest is 'Id'; the columns are"),
        ({}, TAGS.replace("Id", "ID"), r"Tags\.csv: no column 'Id' for id_column; nearest is 'ID'"),
        ({}, "Id,Tag\n80,a|b\n90,c|d\n", r"Tags\.csv: column 'Tag' for tags_column holds 'a|b', .*; set tags_format"),
        ({}, TAGS + "80\n", r"Tags\.csv: 1 of 7 rows cannot be read, the first: line 8: 1 fields, the header has 2"),
    ],
)
def test_tables_that_cannot_be_joined_are_errors(
    tmp_path: Path, options: dict[str, Any], tags: str, message: str
) -> None:
    with pytest.raises(StackbertError, match=message):
        build(tmp_path, replace(write(tmp_path, tags=tags), **options))


@pytest.mark.parametrize(("theirs", "shown"), [("Id,Tag\n0080,list\n0090,c#\n", "0080"), ("Id,Tag\nQ80,java\n", "Q80")])
def test_a_table_of_tags_for_other_ids_is_refused(tmp_path: Path, theirs: str, shown: str) -> None:
    with pytest.raises(StackbertError, match=rf"Tags\.csv: none of its ids is one of .*: '{shown}' here, '80' there"):
        build(tmp_path, write(tmp_path, tags=theirs))


def test_one_row_per_post_and_tag_is_refused_until_it_is_joined_with_itself(tmp_path: Path) -> None:
    path = tmp_path / "joined.csv"
    rows = [
        f"{n},A title of post {n},Its body number {n}.,{tag}\n" for n in range(9) for tag in ("java", "c#")[n % 2 :]
    ]
    path.write_text("Id,Title,Body,Tag\n" + "".join(rows))
    config = replace(CONFIG, path=str(path), tags_path="")
    with pytest.raises(StackbertError, match=r"id '0' with 'java', 'c#'; set tags_path to this file"):
        build(tmp_path, config)
    posts = build(tmp_path, replace(config, tags_path=str(path)))
    assert [post.tags for post in posts] == [("java", "c#")[n % 2 :] for n in range(9)]


def test_a_post_that_stands_twice_with_other_tags_is_an_exception_among_many(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [f"{n},A title of post {n},Its body number {n}.,java\n" for n in range(30)]
    path.write_text("Id,Title,Body,Tag\n" + "".join(rows) + rows[0].replace("java", "c#"))
    assert len(build(tmp_path, replace(CONFIG, path=str(path), tags_path=""))) == 30


def test_ids_of_any_kind(tmp_path: Path) -> None:
    ids = ["0", "7", "007", "7.5", "a-7", "", "9" * 18, "9" * 30, "é\ud83d"]
    table = TagTable.of((post_id, (f"tag of {post_id}", "all")) for post_id in reversed(ids))
    assert [table.tags(post_id) for post_id in ids] == [[f"tag of {post_id}", "all"] for post_id in ids]
    assert table.tags("8") == [] and TagTable.of([]).tags("8") == []


def test_a_row_takes_twelve_bytes(tmp_path: Path) -> None:
    path = tmp_path / "Tags.csv"
    path.write_text("Id,Tag\n" + "".join(f"{n // 3},tag{n % 50}\n" for n in range(3_000)))
    table = load_tag_table(path, CONFIG)
    assert table.keys_N.nbytes + table.codes_N.nbytes == 12 * 3_000 and len(table.names) == 50
    assert table.tags("10") == ["tag30", "tag31", "tag32"]


@pytest.mark.parametrize("tags", ["c#|linq|sql", "<c#><linq><sql>", "|c#|linq|sql|"], ids=["BigQuery", "old", "new"])
def test_exports_with_all_tags_in_a_column(tmp_path: Path, tags: str) -> None:
    (tmp_path / "export.csv").write_text(f'id,title,body,tags\n4,A title of a question,"<p>Its body.</p>","{tags}"\n')
    columns = {f"{name}_column": name for name in ("id", "title", "body", "tags")}
    config = CorpusConfig(source="table", path=str(tmp_path / "export.csv"), **columns)  # type: ignore[arg-type]
    assert build(tmp_path, config)[0].tags == ("c#", "linq", "sql")


def test_the_second_table_may_have_lists_and_tags_with_spaces(tmp_path: Path) -> None:
    posts = build(tmp_path, write(tmp_path, tags="Id,Tag\n80.0,\"['sql server', 'c#']\"\n90.0,['java']\n"))
    assert posts[0].tags == ("sql server", "c#")
    (tmp_path / "b").mkdir()
    posts = build(tmp_path / "b", write(tmp_path / "b", tags="Id,Tag\n80,sql server\n80,\n80,sql server\n90,java\n"))
    assert [post.tags for post in posts] == [("sql server",), ("java",), ()]
