"""Tag synonyms from each kind of file; chains are resolved, contradictions refused."""

from pathlib import Path

import pytest

from corpora.sources.tag_synonyms import apply_synonyms, load_synonyms
from stackbert.core.errors import StackbertError


def write(folder: Path, content: str, name: str = "synonyms.csv") -> Path:
    path = folder / name
    path.write_text(content, "utf-8")
    return path


def test_a_table_made_by_hand(tmp_path: Path) -> None:
    path = write(tmp_path, "target,note,source\njavascript,short, js \nc#,,csharp\n")
    assert load_synonyms(path) == {"js": "javascript", "csharp": "c#"}


def test_a_table_from_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "synonyms.csv"
    path.write_bytes("source;target\r\njs;javascript\r\nwärme;hitze\r\n".encode("cp1252"))
    assert load_synonyms(path) == {"js": "javascript", "wärme": "hitze"}
    path.write_text('source\ttarget\n"c++"\tc\n"java script"\tjavascript\n', "utf-16")
    assert load_synonyms(path) == {"c++": "c", "java script": "javascript"}


def test_an_export_of_data_explorer_without_its_proposals(tmp_path: Path) -> None:
    header = "\ufeffId,SourceTagName,TargetTagName,CreationDate,Score,ApprovalDate\n"
    rows = "1,js,javascript,2010-01-01,4,2010-02-01\n2,java,javascript,2011-01-01,-9,\n"
    assert load_synonyms(write(tmp_path, header + rows)) == {"js": "javascript"}


def test_xml(tmp_path: Path) -> None:
    rows = (
        '<row Id="1" SourceTagName="js" TargetTagName="javascript" />\n<row SourceTagName="c&#43;" TargetTagName="c"/>'
    )
    path = write(tmp_path, f'<?xml version="1.0"?>\n<tagsynonyms>\n{rows}\n</tagsynonyms>', "TagSynonyms.xml")
    assert load_synonyms(path) == {"js": "javascript", "c+": "c"}


def test_chains_are_resolved(tmp_path: Path) -> None:
    path = write(tmp_path, "source,target\na,b\nb,c\nc,d\nx,c\nx,c\n")
    assert load_synonyms(path) == dict.fromkeys(("a", "b", "c", "x"), "d")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("source,target\na,b\nb,c\nc,a\n", "form a circle: a -> b -> c -> a"),
        ("source,target\na,a\n", "form a circle: a -> a"),
        ("source,target\nz,a\na,b\nb,a\n", "form a circle: z -> a -> b -> a"),
        ("source,target\na,b\na,c\n", "line 3: 'a' becomes 'c', but 'b' above"),
        ("source,target\na\n", "line 2: 1 fields, the header has 2"),
        ("source,target\na,\n", "line 2: a tag is missing"),
        ("from,to\na,b\n", "needs the columns SourceTagName and TargetTagName or source and target; it has from, to"),
        ("source,target\n", "it has no rows"),
    ],
)
def test_contradictory_synonyms_are_refused_with_line_or_column(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(StackbertError, match=message):
        load_synonyms(write(tmp_path, content))


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StackbertError, match="no such file"):
        load_synonyms(tmp_path / "none.csv")
    with pytest.raises(StackbertError, match=r"is a folder; name the file in it: a CSV or TagSynonyms\.xml"):
        load_synonyms(tmp_path)
    with pytest.raises(StackbertError, match="byte 0: not well-formed"):
        load_synonyms(write(tmp_path, '<row SourceTagName=js" />', "x.xml"))
    (tmp_path / "latin.csv").write_bytes(b"source,target\n\xff\xfe,e\n")
    with pytest.raises(StackbertError, match="line 2: is not UTF-8"):
        load_synonyms(tmp_path / "latin.csv")


def test_tags_keep_their_order_without_repetitions() -> None:
    synonyms = {"js": "javascript", "ecmascript": "javascript"}
    assert apply_synonyms(("html", "js", "css", "ecmascript", "html"), synonyms) == ("html", "javascript", "css")
