"""PostLinks.xml: duplicate links alone, in a compact form."""

from pathlib import Path

import pytest

from corpora.sources.post_links import Links, load_links
from stackbert.core.errors import StackbertError

STAMP = "2010-04-26T02:59:48.130"


def row(question: object, target: object, kind: object = 3) -> str:
    return f'<row Id="1" CreationDate="{STAMP}" PostId="{question}" RelatedPostId="{target}" LinkTypeId="{kind}" />'


def load(folder: Path, *rows: str, share: float = 0.001) -> Links:
    path = folder / "PostLinks.xml"
    path.write_text('<?xml version="1.0"?>\n<postlinks>\n' + "".join(f"  {row}\n" for row in rows) + "</postlinks>\n")
    return load_links(path, share)


def test_duplicates_are_found_by_question(tmp_path: Path) -> None:
    links = load(tmp_path, row(9, 4), row(5, 8, kind=1), row(7, 40), row(9, 2), row(7, 40), row(6, 6))
    assert links.targets("9") == ("2", "4")
    assert links.targets("7") == ("40",)
    assert [links.targets(post) for post in ("5", "6", "4", "content-9", "", "9" * 30, "٩")] == [()] * 7
    assert links.bad_rows == 0


def test_any_order_of_attributes(tmp_path: Path) -> None:
    links = load(tmp_path, '<row LinkTypeId="3" RelatedPostId="4" PostId="&#57;" />')
    assert links.targets("9") == ("4",)


def test_bad_rows_are_counted(tmp_path: Path) -> None:
    bad = ['<row Id="1" PostId="3"', row("x", 4), row(3, ""), row(10**19, 4), "<row/>"]
    links = load(tmp_path, row(9, 4), *bad, share=0.9)
    assert links.bad_rows == len(bad) and len(links.questions_N) == 1


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackbertError, match=r"2 of 2 rows are no links.*byte 34.*should be the dump's PostLinks\.xml"):
        load(tmp_path, '<row Id="4" PostTypeId="1" />', '<row Id="6" PostTypeId="1" />')
    with pytest.raises(StackbertError, match="no such file"):
        load_links(tmp_path / "none.xml")
    with pytest.raises(StackbertError, match=r"is a folder; name the file in it: the dump's PostLinks\.xml"):
        load_links(tmp_path)
    with pytest.raises(StackbertError, match="declares a document type"):
        load(tmp_path, "<!DOCTYPE x>")


def test_a_file_without_links(tmp_path: Path) -> None:
    assert load(tmp_path).targets("1") == ()


def test_a_link_takes_sixteen_bytes(tmp_path: Path) -> None:
    links = load(tmp_path, *(row(number % 977, number) for number in range(1_000, 3_000)))
    assert links.questions_N.nbytes + links.targets_N.nbytes == 16 * 2_000
