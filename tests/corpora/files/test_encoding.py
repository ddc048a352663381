"""The encoding of a text is found where it shows, and must be named where it does not."""

from pathlib import Path

import pytest

from corpora.files.encoding import encoding_of, open_text
from stackbert.core.errors import StackbertError

WESTERN = ["Größe und Maß", "naïve façade", "“which” — or not…", "¿Qué año?", "50 € à l\u2019été", "smørrebrød på ø"]


def write(folder: Path, content: bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(content)
    return path


def table(text: str, rows: int = 30) -> str:
    return "id,title\n" + "".join(f"{number},{text}\n" for number in range(rows))


@pytest.mark.parametrize("rows", [1, 30])
@pytest.mark.parametrize("text", WESTERN)
@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8-sig"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-32", "utf-32"),
        ("cp1252", "cp1252"),
    ],
)
def test_western_text_is_read_as_it_was_written(
    tmp_path: Path, text: str, rows: int, encoding: str, found: str
) -> None:
    path = write(tmp_path, table(text, rows).encode(encoding))
    assert encoding_of(path) == found
    with open_text(path, found) as file:
        assert file.read() == table(text, rows)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Привет мир", "cp1251"),
        ("Привет мир", "koi8-r"),
        ("zażółć gęślą jaźń", "cp1250"),
        ("日本語のタイトル", "shift_jis"),
        ("Größe café déjà", "cp437"),
        ("Größe café déjà", "mac_roman"),
        ("Jak se máš, můj žlutý koníčku? Příště už to bude lepší", "cp1250"),
        ("Değişken neden boş? Şöyle bir şey: güneş", "cp1254"),
        ("Как", "cp1251"),
        ("שלום עולם", "cp1255"),
        ("Καλημέρα κόσμε", "cp1253"),
    ],
)
def test_what_is_not_western_must_be_named(tmp_path: Path, text: str, encoding: str) -> None:
    path = write(tmp_path, table(text).encode(encoding))
    with pytest.raises(StackbertError, match=r"is neither UTF-8 nor Western European .* name its encoding"):
        encoding_of(path)
    with open_text(path, encoding_of(path, encoding)) as file:
        assert file.read() == table(text)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("Привет", "cp1251"), ("Как я", "cp1251"), ("Größe", "mac_roman"), ("café ß", "cp437"), ("žlutý", "cp1250")],
)
def test_a_few_bytes_of_another_encoding_stay_broken(tmp_path: Path, text: str, encoding: str) -> None:
    path = write(tmp_path, table(text, rows=1).encode(encoding))
    assert encoding_of(path) == "utf-8-sig"


def test_a_name_that_the_file_contradicts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackbertError, match="begins with the mark of UTF-8, so it is not in cp1252"):
        encoding_of(write(tmp_path, table("a").encode("utf-8-sig")), "cp1252")
    with pytest.raises(StackbertError, match="begins with the mark of UTF-16"):
        encoding_of(write(tmp_path, table("a").encode("utf-16")), "utf-8")
    assert encoding_of(write(tmp_path, table("a").encode("utf-16")), "utf-16") == "utf-16"
    assert encoding_of(write(tmp_path, table("a").encode("utf-8-sig")), "UTF8") == "utf-8-sig"


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13", ""])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StackbertError, match="is unknown; name one as Python does"):
        encoding_of(write(tmp_path, b"id,title\n"), name)


def test_utf_16_without_a_mark_must_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, table("a").encode("utf-16-le"))
    with pytest.raises(StackbertError, match="holds NUL bytes, as UTF-16 without a mark; name its encoding"):
        encoding_of(path)
    assert encoding_of(path, "utf-16-le") == "utf-16-le"
