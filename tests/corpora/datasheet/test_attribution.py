"""The attribution file is complete, deterministic, and safe in spreadsheets and on pages."""

import csv
import re
from pathlib import Path

import pytest

from corpora.commands import attribution as corpora_attribution
from corpora.datasheet.attribution import deed_url, write_attribution
from corpora.post import Post
from stackbert.core.errors import StackbertError
from tests.corpora.questions import write_corpus

SITE = "https://stackoverflow.com"
POSTS = [
    Post("4", "question", "How do I sort?", "x", license="CC BY-SA 4.0", url=f"{SITE}/q/4", author="26"),
    Post("7", "answer", "How do I sort?", "x", license="CC BY-SA 2.5", url=f"{SITE}/a/7", author="Jane Doe"),
    Post("a.b", "document", "", "x"),
]
HOSTILE = [
    '=LINK("http://evil")', "+1+1", "-2", "@SUM(A1)", "\t=1", "\uff1d1", "a\r\n=1,b", "\x1b]0;owned\x07", "\u202egnp",
    "](javascript:alert(1))", "<script>alert(1)</script>", "![x](http://evil)", "`x` | **b**\n# h", 'say ""hi"",\n=2',
]  # fmt: skip


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_markdown(tmp_path: Path) -> None:
    summary = write_attribution(write_corpus(tmp_path / "c", POSTS), tmp_path / "out" / "ATTRIBUTION.md")
    text = (tmp_path / "out" / "ATTRIBUTION.md").read_text("utf-8")
    assert text.endswith(
        f"- [question 4: How do I sort?]({SITE}/q/4), by [user 26]({SITE}/users/26), "
        "[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/)\n"
        f"- [answer 7: How do I sort?]({SITE}/a/7), by Jane Doe, "
        "[CC BY-SA 2.5](https://creativecommons.org/licenses/by-sa/2.5/)\n"
        "- document a.b, by author not recorded, no licence recorded\n"
    )
    assert "The 3 posts" in text and "| no licence recorded | 1 |" in text and "not legal advice" in text
    assert summary.without == {"licence": 1, "author": 1, "address": 1}
    assert "1 without licence, 1 without author, 1 without address" in text


def test_csv(tmp_path: Path) -> None:
    write_attribution(write_corpus(tmp_path / "c", POSTS), tmp_path / "a.csv")
    question, answer, document = read(tmp_path / "a.csv")
    assert question == {
        "id": "4",
        "kind": "question",
        "title": "How do I sort?",
        "author": "user 26",
        "author_url": f"{SITE}/users/26",
        "license": "CC BY-SA 4.0",
        "license_url": "https://creativecommons.org/licenses/by-sa/4.0/",
        "url": f"{SITE}/q/4",
    }
    assert (answer["author"], answer["author_url"]) == ("Jane Doe", "")
    assert [name for name, value in document.items() if value] == ["id", "kind"]


@pytest.mark.parametrize("field", ["title", "author", "license", "id", "url"])
def test_hostile_fields_stay_text(tmp_path: Path, field: str) -> None:
    posts = [Post(**{"id": f"{n}", "kind": "question", "title": "t", "text": "x", field: text})
             for n, text in enumerate(HOSTILE)]  # fmt: skip
    folder = write_corpus(tmp_path / "c", posts)
    write_attribution(folder, tmp_path / "a.csv")
    rows = read(tmp_path / "a.csv")
    assert len(rows) == len((tmp_path / "a.csv").read_text().splitlines()) - 1 == len(HOSTILE)
    for row in rows:
        assert not any(re.match(r"[=+\-@\uff1d]", value) for value in row.values())
        assert all(value.isprintable() for value in row.values())
    write_attribution(folder, tmp_path / "a.md")
    listed = [line for line in (tmp_path / "a.md").read_text("utf-8").splitlines() if line.startswith("- ")]
    assert len(listed) == len(HOSTILE)
    for line in listed:
        assert line.isprintable() and "<" not in line
        assert not re.search(r"(?<!\\)(?:\\\\)*\]\(", line)  # no link at all: nothing here has an address


def test_the_output_is_deterministic_and_whole(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "c", POSTS)
    for name in ("a.md", "b.md"):
        write_attribution(folder, tmp_path / name)
    assert (tmp_path / "a.md").read_bytes() == (tmp_path / "b.md").read_bytes()
    assert not list(tmp_path.glob("*.partial"))


def test_other_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StackbertError, match=r"must end in \.md or \.csv, not in '\.pdf'"):
        write_attribution(write_corpus(tmp_path / "c", POSTS), tmp_path / "a.pdf")
    with pytest.raises(StackbertError, match="no such folder"):
        write_attribution(tmp_path / "none", tmp_path / "a.md")


def test_the_command_prints_what_is_missing(tmp_path: Path, capsys) -> None:
    corpora_attribution(write_corpus(tmp_path / "c", POSTS[:2]), tmp_path / "a.md")
    assert "All posts have a licence, an author and an address." in capsys.readouterr().out


def test_urls_of_licences() -> None:
    assert deed_url("CC BY-SA 3.0").endswith("/by-sa/3.0/") and deed_url("MIT").startswith("https://spdx.org/")
    assert deed_url("My own (c)") == ""
