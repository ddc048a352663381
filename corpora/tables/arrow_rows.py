"""Reads the rows of Parquet files and of Hugging Face data sets, local or on the hub."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.tables.row import ROWS_PER_BATCH, Rows
from stackbert.core.errors import StackbertError

HUB = "hub:"


class ArrowBatches(Protocol):
    """The method of a Hugging Face data set in Arrow format that is used here."""

    def iter(self, batch_size: int) -> Iterator[pa.Table]: ...


def hub_address(path: str) -> tuple[str, str, str | None]:
    """Name, revision and split of 'hub:owner/name[@revision][:split]'; without a revision, the hub's latest.

    >>> hub_address("hub:owner/name@3f2a:train")
    ('owner/name', '3f2a', 'train')
    """
    found = re.fullmatch(HUB + r"([^@:]+)(?:@([^@:]+))?(?::([^@:]+))?", path)
    if found is None:
        raise StackbertError(f"{path}: a data set is written hub:owner/name[@revision][:split]")
    return found[1], found[2] or _latest_revision(found[1]), found[3]


def parquet_rows(path: Path) -> Rows:
    """Rows of a Parquet file; raises StackbertError if it cannot be read."""
    try:
        with pq.ParquetFile(path) as file:
            yield from _arrow_rows(file.iter_batches(batch_size=ROWS_PER_BATCH), path.name)
    except pa.ArrowException as error:
        raise StackbertError(f"{path}: cannot be read as Parquet: {error}") from None


def saved_dataset_rows(path: Path) -> Rows:
    """Rows of a folder saved by Hugging Face datasets; raises StackbertError if it cannot be read."""
    try:
        return _dataset_rows(_datasets().load_from_disk(str(path)))
    except (OSError, ValueError) as error:
        raise StackbertError(f"{path}: cannot be read as a Hugging Face data set: {error}") from None


def hub_rows(name: str, revision: str, split: str | None) -> Rows:
    """Rows of a data set on the Hugging Face Hub, streamed; all splits if none is named. Never runs its code."""
    try:
        return _dataset_rows(_datasets().load_dataset(name, split=split, revision=revision, streaming=True))
    except (OSError, ValueError, RuntimeError) as error:
        raise StackbertError(f"{HUB}{name}: cannot be loaded: {error}") from None


def _dataset_rows(dataset: Any) -> Rows:
    """Rows of a data set, or of each of its splits in order."""
    splits = dataset if isinstance(dataset, Mapping) else {"data set": dataset}
    for name, split in splits.items():
        batches = cast(ArrowBatches, split.with_format("arrow"))
        yield from _arrow_rows(batches.iter(batch_size=ROWS_PER_BATCH), name)


def _arrow_rows(batches: Iterable[pa.RecordBatch | pa.Table], name: str) -> Rows:
    number = 0
    for batch in batches:
        for values in batch.to_pylist():
            number += 1
            yield f"{name} row {number}", values


def _latest_revision(name: str) -> str:
    try:
        from huggingface_hub import HfApi

        return str(HfApi().dataset_info(name).sha)
    except ImportError:
        raise StackbertError("hub: data sets need the package 'datasets': pip install datasets") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise StackbertError(f"{HUB}{name}: cannot be found: {error}; offline, write {HUB}{name}@revision") from None


def _datasets() -> Any:
    """The package datasets, imported only when needed: it takes 2 s."""
    try:
        import datasets
    except ImportError:
        raise StackbertError("Hugging Face data sets need the package 'datasets': pip install datasets") from None
    return datasets
