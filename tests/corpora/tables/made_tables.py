"""Tables made by chance, and written as programs write them; for tests that read them back."""

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

Rows = list[dict[str, str]]

WORDS = "how sort the list of numbers when python reads a file twice and prints nothing".split()
PIECES = [
    *WORDS,
    *('"', '"Hello"', "'", "don't", ",", ";", "\t", "|", "\n", "\n\n", "\\", "\\n", "C:\\dir\\", "a, b; c|d", "[1, 2]"),
    *('print("a, b")', "x = f(a, b)\ny = g(c, d)", "<p>one &amp; two</p>", "{'a': 1}", '5" nails', "#", "é", "“which”"),
    *("日本語", "😀", "1,5", "007", "-1.50", "NULL", "nan", "sep=;", "a\r\nb", "--", "*"),
]
IDS = [str, lambda n: f"ABC-{n}", lambda n: f"{n:05d}", lambda n: f"{n}.0"]
NAMES = [
    "id",
    "title",
    "body",
    "tags",
    "Issue key",
    "Größe",
    " spaced ",
    "a,b",
    "x;y",
    'say "hi"',
    "Custom field (Team)",
]


def texts() -> st.SearchStrategy[str]:
    """Cells: mostly of words and what stands in technical text, some of any characters, some empty."""
    spaced = st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join)
    plain = st.lists(st.sampled_from(WORDS), min_size=2, max_size=8).map(" ".join)
    wild = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
    return st.one_of(plain, plain, spaced, spaced, wild, st.just(""))


@st.composite
def tables(draw: st.DrawFn) -> Rows:
    """Tables of one to five columns; the first may hold ids."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    count = draw(st.integers(1, 24))
    columns = [draw(st.lists(texts(), min_size=count, max_size=count)) for _ in names]
    if len(names) > 1 and draw(st.booleans()):
        columns[0] = [draw(st.sampled_from(IDS))(number) for number in range(1, count + 1)]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


@dataclass(frozen=True)
class Written:
    """A way to write a table."""

    title: str
    ending: str
    write: Callable[[Path, Rows], None]


def csv_module(delimiter: str, encoding: str, **options: Any) -> Written:
    """As the csv module writes with these options."""

    def write(path: Path, rows: Rows) -> None:
        with path.open("w", encoding=encoding, newline="") as file:
            writer = csv.writer(file, delimiter=delimiter, **options)
            writer.writerow(rows[0])
            writer.writerows(row.values() for row in rows)

    return Written(f"csv module, {delimiter!r}, {encoding}, {options}", ".tsv" if delimiter == "\t" else ".csv", write)


def excel(delimiter: str, encoding: str, separator_line: bool = False) -> Written:
    """As Excel writes: quotes where they are needed."""

    def write(path: Path, rows: Rows) -> None:
        with path.open("w", encoding=encoding, newline="") as file:
            file.write(f"sep={delimiter}\r\n" * separator_line)
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerow(rows[0])
            writer.writerows(row.values() for row in rows)

    return Written(f"Excel, {delimiter!r}, {encoding}, sep {separator_line}", ".csv", write)


def plain_tsv(path: Path, rows: Rows) -> None:
    """TSV by its IANA definition: no quotes, so no tabs or line breaks in a field."""
    lines = [list(rows[0]), *(row.values() for row in rows)]
    for value in (value for line in lines for value in line):
        if set(value) & set("\t\r\n"):
            raise ValueError(value)
    path.write_text("".join("\t".join(line) + "\n" for line in lines), "utf-8", newline="")


def pandas_csv(**options: Any) -> Written:
    """As pandas writes with these options."""
    return Written(
        f"pandas {options}", ".csv", lambda path, rows: pd.DataFrame(rows).to_csv(path, **({"index": False} | options))
    )


def polars_csv(**options: Any) -> Written:
    """As polars writes with these options."""
    return Written(f"polars {options}", ".csv", lambda path, rows: pl.DataFrame(rows).write_csv(path, **options))


def arrow_csv(delimiter: str, style: str) -> Written:
    """As pyarrow writes."""
    options = pyarrow.csv.WriteOptions(delimiter=delimiter, quoting_style=style)
    return Written(
        f"pyarrow {delimiter!r} {style}",
        ".csv",
        lambda path, rows: pyarrow.csv.write_csv(pa.Table.from_pylist(rows), path, options),
    )


DELIMITERS = (",", ";", "\t", "|")
DELIMITED = [
    *(csv_module(each, "utf-8", quoting=quoting) for each in DELIMITERS for quoting in range(3)),
    *(csv_module(each, "utf-8", quoting=0, doublequote=False, escapechar="\\") for each in DELIMITERS),
    *(csv_module(each, "utf-8", quoting=csv.QUOTE_NONE, escapechar="\\") for each in DELIMITERS),
    *(csv_module(each, "utf-8", quotechar="'") for each in DELIMITERS),
    *(csv_module(",", each, lineterminator="\n") for each in ("utf-8", "utf-8-sig", "utf-16", "cp1252")),
    *(csv_module(each, "utf-8", dialect="unix") for each in DELIMITERS),
    *(excel(";", each) for each in ("cp1252", "utf-8-sig")),
    *(excel(each, "cp1252", separator_line=True) for each in ";,\t"),
    *(excel("\t", each) for each in ("utf-16",)),
    Written("plain TSV", ".tsv", plain_tsv),
    *(pandas_csv(sep=each) for each in DELIMITERS),
    *(pandas_csv(index=True, sep=each) for each in DELIMITERS),
    *(pandas_csv(quoting=each) for each in (csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC)),
    pandas_csv(escapechar="\\"),
    pandas_csv(escapechar="\\", doublequote=False),
    pandas_csv(lineterminator="\r\n", encoding="utf-8-sig"),
    *(polars_csv(separator=each) for each in DELIMITERS),
    *(polars_csv(quote_style=each) for each in ("always", "non_numeric")),
    polars_csv(include_bom=True, line_terminator="\r\n"),
    *(arrow_csv(each, style) for each in DELIMITERS for style in ("needed", "all_valid")),
]


def json_text(indent: int | None = None, between: str = "") -> Callable[[Rows], str]:
    """A list of objects; with `between`, the objects one after another."""
    if between:
        return lambda rows: between.join(json.dumps(row, indent=indent) for row in rows)
    return lambda rows: json.dumps(rows, indent=indent, ensure_ascii=indent is None)


def text_file(title: str, ending: str, text_of: Callable[[Rows], str], encoding: str = "utf-8") -> Written:
    """A text in an encoding."""
    return Written(title, ending, lambda path, rows: path.write_bytes(text_of(rows).encode(encoding)) and None)


JSON = [
    text_file("a list on one line", ".json", json_text()),
    text_file("a list over lines", ".json", json_text(2)),
    text_file("a list in UTF-16", ".json", json_text(), "utf-16"),
    text_file("lines", ".jsonl", json_text(between="\n")),
    text_file("lines with a mark", ".ndjson", json_text(between="\n"), "utf-8-sig"),
    text_file("blank lines", ".jsonl", json_text(between="\r\n\r\n")),
    text_file("objects over lines", ".json", json_text(1, "\n")),
    text_file("objects on one line", ".json", json_text(between=" ")),
    text_file("a list in an object", ".json", lambda rows: json.dumps({"total": 2, "issues": rows, "labels": ["a"]})),
    Written(
        "pandas lines", ".jsonl", lambda path, rows: pd.DataFrame(rows).to_json(path, orient="records", lines=True)
    ),
    Written("pandas records", ".json", lambda path, rows: pd.DataFrame(rows).to_json(path, orient="records")),
    Written("pandas by default", ".json", lambda path, rows: pd.DataFrame(rows).to_json(path)),
    Written("polars lines", ".jsonl", lambda path, rows: pl.DataFrame(rows).write_ndjson(path)),
    Written("polars", ".json", lambda path, rows: pl.DataFrame(rows).write_json(path)),
]
PARQUET = [
    Written("pandas", ".parquet", lambda path, rows: pd.DataFrame(rows).to_parquet(path)),
    Written("polars", ".parquet", lambda path, rows: pl.DataFrame(rows).write_parquet(path)),
    Written("pyarrow", ".parquet", lambda path, rows: pq.write_table(pa.Table.from_pylist(rows), path)),
]


def zipped(content: bytes) -> bytes:
    """A zip with one CSV."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/table.csv", content)
    return target.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
    ".zip": zipped,
}
