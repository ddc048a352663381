"""The stage 'corpora build', from a file to a finished folder."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from corpora.build.build import REJECTED, build_corpus
from corpora.config import CorpusConfig
from corpora.post import read_posts
from stackbert.core.artifact import ArtifactError, load_manifest
from stackbert.core.errors import StackbertError

CONFIG = CorpusConfig(source="dump", path="Posts.xml")


def row(number: int, text: str, kind: int = 2) -> str:
    return f'<row Id="{number}" PostTypeId="{kind}" Body="&lt;p&gt;{text}&lt;/p&gt;" />'


def write_dump(folder: Path, rows: list[str]) -> Path:
    path = folder / "Posts.xml"
    path.write_text("\n".join(["<posts>", *rows, "</posts>"]))
    return path


def texts(count: int) -> list[str]:
    return [row(number, f"The answer that has the number {number}.") for number in range(count)]


def test_every_row_is_counted_and_the_balance_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = texts(3_000)
    rows[7] = row(7, "short")
    rows[8] = rows[9].replace('Id="9"', 'Id="8"')
    rows[10] = row(10, "A wiki about the tag called python", kind=5)
    rows[11] = rows[11][:40]
    write_dump(tmp_path, rows)
    manifest = build_corpus(tmp_path / "out", CONFIG, tmp_path)
    assert manifest.counts["read"] == 3_000
    assert manifest.counts["dropped"] == {"bad_row": 1, "duplicate": 1, "other_type": 1, "too_short": 1}
    assert manifest.counts["kept"] == 2_996
    balance = capsys.readouterr().out.splitlines()[0]
    assert balance == "corpus: read 3,000 = kept 2,996 + bad_row 1 + duplicate 1 + other_type 1 + too_short 1"
    posts = list(read_posts(tmp_path / "out"))
    assert [post.id for post in posts] == [str(number) for number in range(3_000) if number not in (7, 9, 10, 11)]
    assert manifest.counts["characters"] == sum(len(post.whole_text) for post in posts)
    (rejected,) = map(json.loads, (tmp_path / "out" / REJECTED).read_text().splitlines())
    assert rejected["reason"] == "bad_row" and rejected["where"].startswith("byte ")
    assert set(manifest.files) == {"posts-00000.parquet", REJECTED}


@pytest.mark.usefixtures("worker_pool")
def test_the_number_of_processes_changes_no_byte_and_no_identity(tmp_path: Path) -> None:
    write_dump(tmp_path, texts(3_000))
    small = replace(CONFIG, part_megabytes=0.05)
    one = build_corpus(tmp_path / "one", replace(small, processes=1), tmp_path)
    two = build_corpus(tmp_path / "two", replace(small, processes=2), tmp_path)
    assert len(one.files) > 4 and one.files == two.files and one.counts == two.counts and one.identity == two.identity
    again = build_corpus(tmp_path / "two", replace(small, processes=1), tmp_path)
    assert again == load_manifest(tmp_path / "two")


def test_too_many_bad_rows_stop_the_build_and_leave_nothing(tmp_path: Path) -> None:
    rows = texts(1_000)
    rows[3], rows[5] = rows[3][:30], rows[5][:30]
    write_dump(tmp_path, rows)
    with pytest.raises(StackbertError, match=r"2 of 1,000 rows cannot be read, more than the 0.10% allowed.*\n  byte"):
        build_corpus(tmp_path / "out", CONFIG, tmp_path)
    assert not (tmp_path / "out").exists()
    manifest = build_corpus(tmp_path / "out", replace(CONFIG, max_rejected_share=0.01), tmp_path)
    assert manifest.counts["kept"] == 998


def test_a_file_in_another_format_is_given_up_early(tmp_path: Path) -> None:
    (tmp_path / "Posts.xml").write_text("id,text\n" * 20_000)
    with pytest.raises(StackbertError, match=r"1,000 of 1,000 rows cannot be read"):
        build_corpus(tmp_path / "out", replace(CONFIG, processes=1), tmp_path)


def test_a_corpus_without_posts_is_an_error(tmp_path: Path) -> None:
    write_dump(tmp_path, [row(1, "short")])
    with pytest.raises(StackbertError, match=r"no post was kept \(corpus: read 1 = kept 0 \+ too_short 1\)"):
        build_corpus(tmp_path / "out", CONFIG, tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackbertError, match=r"Posts\.xml: no such file"):
        build_corpus(tmp_path / "out", CONFIG, tmp_path)


@pytest.mark.parametrize("field", ["path", "tag_synonyms", "post_links"])
def test_a_folder_in_place_of_a_file_is_refused_with_advice(tmp_path: Path, field: str) -> None:
    write_dump(tmp_path, texts(3))
    (tmp_path / "folder").mkdir()
    with pytest.raises(StackbertError, match="folder: is a folder; name the file in it: "):
        build_corpus(tmp_path / "out", replace(CONFIG, **{field: "folder"}), tmp_path)  # type: ignore[arg-type]
    assert not (tmp_path / "out.partial").exists()


def test_a_changed_dump_is_refused(tmp_path: Path) -> None:
    write_dump(tmp_path, texts(5))
    build_corpus(tmp_path / "out", CONFIG, tmp_path)
    write_dump(tmp_path, texts(6))
    with pytest.raises(ArtifactError, match=r"inputs\.source"):
        build_corpus(tmp_path / "out", CONFIG, tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("min_characters", 21), ("format", "text"), ("site", "a.b"), ("code", "drop"), ("title_column", "x")],
)
def test_a_changed_option_is_refused_by_name(tmp_path: Path, field: str, value: object) -> None:
    write_dump(tmp_path, texts(5))
    build_corpus(tmp_path / "out", CONFIG, tmp_path)
    with pytest.raises(ArtifactError, match=f"config.{field}"):
        build_corpus(tmp_path / "out", replace(CONFIG, **{field: value}), tmp_path)


def test_packages_build_and_record_versions(tmp_path: Path) -> None:
    manifest = build_corpus(tmp_path / "out", CorpusConfig(packages=("joblib",), processes=1))
    assert manifest.inputs["joblib"][0].isdigit()
    assert manifest.counts["kept"] > 50
    assert all(post.tags[0] == "joblib" for post in read_posts(tmp_path / "out"))


BODY = "&lt;p&gt;a text of some length, number {}&lt;/p&gt;"
DUMP = f"""<posts>
  <row Id="1" PostTypeId="1" Score="5" Title="Sort in js" Body="{BODY.format(1)}" Tags="|js|list|" OwnerUserId="7" />
  <row Id="2" PostTypeId="1" Score="-2" Title="Again" Body="{BODY.format(2)}" OwnerDisplayName="Ada" ClosedDate="9" />
  <row Id="3" PostTypeId="2" ParentId="1" Body="{BODY.format(3)}" Score="-9" />
</posts>
"""


def test_synonyms_links_and_authors_are_marked_and_closed_or_low_posts_left_out(tmp_path):
    (tmp_path / "Posts.xml").write_text(DUMP)
    (tmp_path / "synonyms.csv").write_text("source,target\njs,javascript\n")
    (tmp_path / "PostLinks.xml").write_text(
        '<postlinks>\n<row Id="1" PostId="2" RelatedPostId="1" LinkTypeId="3" />\n</postlinks>\n'
    )
    given = CorpusConfig(
        source="dump", path="Posts.xml", tag_synonyms="synonyms.csv", post_links="PostLinks.xml", processes=1
    )
    manifest = build_corpus(tmp_path / "all", given, tmp_path)
    first, second, third = read_posts(tmp_path / "all")
    assert first.tags == ("javascript", "list")
    assert second.duplicate_of == ("1",)
    assert (first.author, second.author, third.author) == ("7", "Ada", None)
    assert {"tag_synonyms", "post_links"} <= set(manifest.inputs)
    few = build_corpus(tmp_path / "few", replace(given, min_score=0, drop_closed=True), tmp_path)
    assert few.counts["dropped"] == {"closed": 1, "low_score": 1}
    assert [post.id for post in read_posts(tmp_path / "few")] == ["1"]
