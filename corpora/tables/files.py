"""Finds the reader of a table: by the ending of a file, or by what a folder holds."""

from itertools import chain
from pathlib import Path

from corpora.tables.arrow_rows import parquet_rows, saved_dataset_rows
from corpora.tables.csv_rows import csv_rows
from corpora.tables.json_rows import json_rows
from corpora.tables.row import Rows
from stackbert.core.errors import StackbertError

READERS = {
    ".csv": csv_rows,
    ".tsv": csv_rows,
    ".jsonl": json_rows,
    ".ndjson": json_rows,
    ".json": json_rows,
    ".parquet": parquet_rows,
}


def table_rows(path: Path) -> Rows:
    """The rows of a file, of a folder of Parquet files, or of a data set saved by Hugging Face datasets."""
    if path.is_dir():
        return _folder_rows(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise StackbertError(f"{path}: tables end in .csv, .tsv, .jsonl, .json or .parquet, not in '{path.suffix}'")
    return reader(path)


def _folder_rows(path: Path) -> Rows:
    files = sorted(path.glob("*.parquet"))
    if files:
        return chain.from_iterable(map(parquet_rows, files))
    if not list(path.glob("*.json")):
        raise StackbertError(
            f"{path}: is a folder without *.parquet or a data set saved by Hugging Face datasets; "
            "name the file in it that holds the table"
        )
    return saved_dataset_rows(path)
