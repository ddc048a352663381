"""What a build shows of what it read."""

from pathlib import Path
from typing import Any

import pytest

from corpora.build.build import build_corpus
from corpora.config import CorpusConfig

TEXT = "A body of post {} that is long enough"
HEADER = "id,title,body,tags,priority,TITLE,when\n"


def build(folder: Path, rows: list[str], **options: Any) -> dict[str, Any]:
    (folder / "table.csv").write_text(HEADER + "".join(rows))
    fields: dict[str, Any] = {
        "source": "table",
        "path": str(folder / "table.csv"),
        "processes": 1,
        "max_rejected_share": 0.1,
    }
    fields |= {f"{name}_column": name for name in ("id", "title", "body", "tags")} | options
    return build_corpus(folder / "out", CorpusConfig(**fields)).counts


def rows(count: int) -> list[str]:
    return [
        f"{n},Title {n},{TEXT.format(n)},{'a|b' if n % 4 else ''},high,,2021-03-{n % 28 + 1}\n" for n in range(count)
    ]


def test_three_posts_shares_tags_and_columns_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = build(tmp_path, rows(40))
    shown, said = capsys.readouterr()
    lines = shown.splitlines()
    assert "posts read without: title 0 %, body 0 %, tags 25 %, date 100 %" in lines
    assert "bodies: 100 % Markdown or plain text, with format 'auto'" in lines
    assert "tags: read as a|b" in lines
    assert "tags: 2 different, most frequent: a 30, b 30" in lines
    assert "columns not used: priority, TITLE, when" in lines
    assert "'TITLE' is another column than 'title', which is the one that is read" in lines
    assert "- id     1\n  title  Title 1\n  body   A body of post 1 that is long enough\n  tags   a, b" in shown
    assert len([line for line in lines if line.startswith("- id")]) == 3
    assert "warning" not in said and "hint" not in said
    assert counts["contents"]["posts"] == 40 and counts["contents"]["no_tags"] == 10
    assert counts["tags"] == {"a": 30, "b": 30}


def test_dates_are_shown_where_a_column_has_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path, rows(40), date_column="when")
    shown = capsys.readouterr().out
    assert "dates: read as ISO 8601; without a time zone, in UTC" in shown
    assert "  date   2021-03-02T00:00:00" in shown and "date 0 %" in shown


@pytest.mark.parametrize("synonym", ["B,b2", "<b>,<b2>", "java,c#"])
def test_synonyms_that_replace_no_tag_are_a_warning(
    tmp_path: Path, synonym: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for content, is_warned in ((f"source,target\n{synonym}\n", True), ("source,target\nb,b2\n", False)):
        (tmp_path / "synonyms.csv").write_text(content)
        out = tmp_path / str(is_warned)
        out.mkdir()
        build(out, rows(40), tag_synonyms=str(tmp_path / "synonyms.csv"))
        assert ("warning: no tag is replaced by" in capsys.readouterr().err) == is_warned


def test_a_named_column_that_is_mostly_empty_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path, [row.replace("Title", "", 1).replace(f" {n},", ",", 1) for n, row in enumerate(rows(40))])
    said = capsys.readouterr().err
    assert "warning: 100 % of the posts have no titles: column 'title' for title_column is mostly empty" in said


def test_spellings_of_a_tag_and_missing_values_are_hints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [row.replace("a|b", ["Python", "python", "nan"][n % 3]) for n, row in enumerate(rows(60))]
    build(tmp_path, made)
    said = capsys.readouterr().err
    assert "hint: 1 tags have several spellings, which count as different tags: Python 15, python 15" in said
    assert "hint: 'nan' 15 is read as a tag" in said


def test_the_summary_is_safe_and_fits_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tag = "\x1b[31m" + "t" * 200
    made = [f"{n},\x1b]0;x\x07 {'数据' * 100} {n},{TEXT.format(n)} {'w' * 300},{tag}|{tag}{n},,,\n" for n in range(30)]
    build(tmp_path, made)
    shown, said = capsys.readouterr()
    assert "\x1b" not in shown + said and "\x07" not in shown + said
    assert max(map(len, shown.splitlines())) <= 80
