"""The datasheet: correct figures, a safe page, deterministic bytes."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from corpora.commands import datasheet as corpora_datasheet
from corpora.datasheet.code_share import FENCED, INDENTED, LAID_OUT_BY_HTML, code_rule
from corpora.datasheet.datasheet import write_datasheet
from corpora.datasheet.figures import LONGEST, CorpusFigures, corpus_figures
from corpora.post import Post, write_posts
from stackbert.core.artifact import identify
from stackbert.core.errors import StackbertError
from tests.corpora.questions import question, write_corpus

CODE = "for x in y:\n    print(x)"
POSTS = [
    Post("1", "question", "Title", f"Prose.\n\n{CODE}", ("c#", "sql"), created="2008-07-31", license="CC BY-SA 2.5"),
    Post("2", "answer", "Title", "Prose alone.", ("c#", "sql"), "1", 3, "2010-01-01", "CC BY-SA 2.5", author="7"),
    Post("3", "question", "Other", "", ("c#",), created="soon", duplicate_of=("1",)),
    Post("4", "document", "", "x" * (LONGEST + 5)),
]


def figures(folder: Path, posts: list[Post]) -> CorpusFigures:
    write_posts(posts, folder)
    return corpus_figures(folder, LAID_OUT_BY_HTML, processes=1)


def test_figures(tmp_path: Path) -> None:
    found = figures(tmp_path, POSTS)
    assert found.kinds == {"question": 2, "answer": 1, "document": 1} and found.posts == 4
    assert found.characters == sum(len(post.whole_text) for post in POSTS)
    assert found.longest == LONGEST + 5
    assert (found.code_characters, found.posts_with_code) == (len(CODE), 1)
    assert found.code_shares.nonzero()[0].tolist() == [len(CODE) * 20 // len(POSTS[0].whole_text)]
    assert found.tags == {"c#": 2, "sql": 1} and found.tags_per_post == {2: 1, 1: 1, 0: 1}
    assert found.years == {"2008": 1, "2010": 1} and found.licenses == {"CC BY-SA 2.5": 2}
    assert found.missing == {"score": 3, "created": 1, "license": 2, "url": 4, "author": 3, "title": 1}
    assert found.duplicates == 1
    assert found.scripts == {"Latin": LONGEST + 5 + sum(map(str.isalpha, "Title Prose." + CODE + "Prose alone. Other"))}
    assert found.quantiles("answer", (0, 0.5, 1)) == [12, 12, 12]
    assert found.quantiles("document", (0.5,)) == [LONGEST]


def test_scripts_are_counted_and_shown(tmp_path: Path) -> None:
    posts = [
        Post("1", "question", "\u0401\u043b\u043a\u0430", "\u30c7\u30fc\u30bf in C++, \u6f22"),
        Post("2", "document", "", "42"),
    ]
    corpus = write_corpus(tmp_path / "corpus", posts)
    write_datasheet(corpus)
    shown = (tmp_path / "corpus-datasheet" / "datasheet.md").read_text("utf-8")
    for row in ("| Cyrillic | 4 | 36.4% |", "| Katakana | 3 | 27.3% |", "| Latin | 3 | 27.3% |", "| Han | 1 | 9.1% |"):
        assert row in shown
    assert figures(tmp_path / "none", [Post("1", "document", "", "42")]).scripts == {}


def test_quantiles_are_exact(tmp_path: Path) -> None:
    posts = [Post(f"{n}", "answer", "", "x" * n) for n in range(1, 101)]
    assert figures(tmp_path, posts).quantiles("answer", (0.05, 0.5, 0.99, 1)) == [5, 50, 99, 100]


def test_shards_add_up(tmp_path: Path) -> None:
    whole, parts = figures(tmp_path / "all", POSTS), CorpusFigures()
    for number, post in enumerate(POSTS):
        parts.add(figures(tmp_path / f"{number}", [post]))
    for name, value in vars(whole).items():
        np.testing.assert_equal(getattr(parts, name), value, name)


@pytest.mark.parametrize(
    ("rule", "text", "code"),
    [
        (LAID_OUT_BY_HTML, f"One line.\n\n{CODE}\n\nx = 1\n\nlast", CODE),
        (LAID_OUT_BY_HTML, "a = 1\nb = 2", "a = 1\nb = 2"),
        (LAID_OUT_BY_HTML, "- an item\nof two lines\n\nprose\n\n    indented", "    indented"),
        (LAID_OUT_BY_HTML, "", ""),
        (INDENTED, "Text that\nis wrapped\n    code\n  no code\n\tcode", "    code\tcode"),
        (FENCED, "Text\nwrapped\n\n```\na\n\nb\n```\n\nmore `x`", "a\n\nb\n"),
        (FENCED, "````\n```\n````\nText\n```\nnever closed", "```\nnever closed"),
    ],
)
def test_what_counts_as_code(rule, text: str, code: str) -> None:
    assert rule.characters(text) == len(code)


def test_the_rule_depends_on_the_configuration_of_the_corpus() -> None:
    assert code_rule({"code": "mark", "source": "dump"}) is FENCED
    assert code_rule({"source": "packages"}) is code_rule({"source": "table", "format": "text"}) is INDENTED
    assert code_rule({"source": "dump", "format": "auto", "code": "keep"}) is LAID_OUT_BY_HTML


def test_page_and_plots(tmp_path: Path, capsys) -> None:
    folder = write_corpus(tmp_path / "c", POSTS)
    before = identify(folder)
    corpora_datasheet(folder)
    out = tmp_path / "c-datasheet"
    assert capsys.readouterr().out == f"{out / 'datasheet.md'}\n"
    assert {path.stem for path in out.glob("*.svg")} == {"lengths", "code", "tags", "years"}
    text = (out / "datasheet.md").read_text("utf-8")
    for line in (
        "| c\\# | 2 | 66.7% |",
        "| document | 1 | 65,535 or more | 65,535 or more |",
        "| CC BY-SA 2.5 | 2 | https://creativecommons.org/licenses/by-sa/2.5/ |",
        "| no licence recorded | 2 |  |",
        "Posts were created from 2008 to 2010.",
        "*For what purpose was the corpus created, and by whom?*",
        "![Bars of the most frequent tags: c\\# 2, sql 1](tags.svg)",
    ):
        assert line in text
    assert identify(folder) == before  # nothing was written into the corpus


def test_a_corpus_without_tags_and_dates(tmp_path: Path) -> None:
    write_datasheet(write_corpus(tmp_path / "c", [replace(question(1), tags=())]), tmp_path / "out", processes=1)
    text = (tmp_path / "out" / "datasheet.md").read_text()
    assert "No post has tags." in text and "No post has a date." in text and "tags.svg" not in text
    assert not (tmp_path / "out" / "years.svg").exists()


def test_the_output_is_deterministic(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "c", POSTS)
    first, second = (write_datasheet(folder, tmp_path / name, processes=1) for name in ("a", "b"))
    assert first.files == second.files and len(first.files) == 5


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = ("<img src=x onerror=alert(1)>", "](http://evil)", "$x^$", "\x1b[31m|\n# h", "\u202e&lt;")
    posts = [replace(question(1, names), license=name) for name in names]
    write_datasheet(write_corpus(tmp_path / "c", posts), tmp_path / "out", processes=1)
    text = (tmp_path / "out" / "datasheet.md").read_text("utf-8")
    assert all(line.isprintable() for line in text.split("\n"))
    assert "<" not in text and "\n# h" not in text and text.count("](http") == text.count("\\](http")
    for path in (tmp_path / "out").glob("*.svg"):
        elements = {element.tag.rpartition("}")[2] for element in ElementTree.parse(path).iter()}  # noqa: S314 - ours
        assert not elements & {"img", "script", "a"}


def test_a_datasheet_inside_the_corpus_is_refused(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "c", POSTS)
    for out in (folder, folder / "sheet"):
        with pytest.raises(StackbertError, match=r"is the input .* itself|is inside the input"):
            write_datasheet(folder, out)
