"""Finds the reader of a table: by the ending of a file, or by what a folder holds."""

from collections import Counter
from collections.abc import Callable, Collection
from itertools import chain, islice
from pathlib import Path

from corpora.files.delimited import say_once
from corpora.files.dialect import DialectSettings
from corpora.files.packed import PACKED_ENDINGS, unpacked_name
from corpora.tables.arrow_rows import parquet_rows, saved_dataset_rows
from corpora.tables.csv_rows import csv_rows
from corpora.tables.json_rows import json_rows
from corpora.tables.row import ROWS_PER_BATCH, Rows
from stackbert.core.errors import StackbertError

Reader = Callable[[Path, DialectSettings, Path], Rows]

READERS: dict[str, Reader] = {
    ".csv": csv_rows,
    ".tsv": csv_rows,
    ".tab": csv_rows,
    ".jsonl": json_rows,
    ".ndjson": json_rows,
    ".json": json_rows,
    ".parquet": lambda path, *_: parquet_rows(path),
}
AS_FOUND = DialectSettings()
SAVED_DATASET = ("dataset_dict.json", "state.json")
"""Files of a data set saved by Hugging Face datasets."""

_ADVICE = {
    ".xlsx": "save the sheet as 'CSV UTF-8'",
    ".xls": "save the sheet as 'CSV UTF-8'",
    ".ods": "save the sheet as CSV",
    ".txt": "let the name of a table in it end in .csv or .tsv, or read documents with source 'folder'",
    ".dat": "let the name of a table in it end in .csv or .tsv",
    ".xml": "a Posts.xml is read with source 'dump'; write other XML as CSV or JSON lines",
    ".7z": "unpack it; a Posts.xml in it is read with source 'dump'",
    ".tar": "unpack it and name the file inside",
    ".arrow": "write it as Parquet, or name the folder of the saved data set",
    ".feather": "write it as Parquet",
    ".sql": "load the dump into a database and export the table as CSV",
}


def table_rows(path: Path, settings: DialectSettings = AS_FOUND, columns: Collection[str] = ()) -> Rows:
    """The rows of a file, of a folder of files of one kind, or of a data set saved by Hugging Face datasets.

    `columns` are the ones that each file of a folder must have. Raises StackbertError for what is no table.
    """
    if not path.is_dir():
        return _reader_of(path)(path, settings, path)
    if any((path / name).is_file() for name in SAVED_DATASET):
        return saved_dataset_rows(path)
    return _folder_rows(path, settings, columns)


def _reader_of(path: Path) -> Reader:
    ending = _ending(path)
    reader = READERS.get(ending)
    if reader is None:
        read = "CSV (.csv), TSV (.tsv), JSON (.jsonl, .json) and Parquet (.parquet) files are read"
        advice = _ADVICE.get(ending, "let its name end in what it is, or convert it")
        raise StackbertError(f"{path}: {read}, not '{ending}'; {advice}")
    if ending == ".parquet" and path.suffix.lower() in PACKED_ENDINGS:
        raise StackbertError(f"{path}: is packed Parquet; unpack it, as Parquet is compressed itself")
    return reader


def _ending(path: Path) -> str:
    return Path(unpacked_name(path)).suffix.lower()


def _folder_rows(path: Path, settings: DialectSettings, columns: Collection[str]) -> Rows:
    """The rows of the files of a folder in the order of their names; a row's place names its file."""
    visible = sorted(file for file in path.iterdir() if not file.name.startswith((".", "_")))
    files = [file for file in visible if file.is_file() and file.stat().st_size and _ending(file) in READERS]
    kinds = Counter(_ending(file) for file in files)
    if not files:
        raise StackbertError(
            f"{path}: is a folder without a table or a data set saved by Hugging Face datasets; "
            "name the file in it that holds the table"
        )
    if len({READERS[kind] for kind in kinds}) > 1:
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        raise StackbertError(f"{path}: holds files of different kinds ({listed}); name one of them, or part them")
    others = [file.name for file in visible if file not in files]
    if others:
        say_once(f"{path}: {len(files)} files are read; left out, as empty or no table: {', '.join(others[:5])}")
    return chain.from_iterable(_shard_rows(file, settings, columns) for file in files)


def _shard_rows(path: Path, settings: DialectSettings, columns: Collection[str]) -> Rows:
    rows = _reader_of(path)(path, settings, path.parent)
    first = list(islice(rows, ROWS_PER_BATCH))
    names = list(dict.fromkeys(chain.from_iterable(values for _, values in first if isinstance(values, dict))))
    missing = [column for column in columns if column not in names]
    if names and missing:
        raise StackbertError(
            f"{path}: has no column '{missing[0]}', which each file of the folder needs; it has {', '.join(names)}"
        )
    for where, values in chain(first, rows):
        yield (where if path.name in where else f"{path.name} {where}"), values
