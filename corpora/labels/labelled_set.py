"""Reads and checks a labelled set: texts, and binary targets for each label."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpora.arrays import Codes
from stackbert.core.errors import StackbertError, nearest_hint

# Shape letters: N posts, L labels.

LABELS_FILE = "labels.json"
SPLITS = ("train", "dev", "test")
MISC = "misc"

SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("labels", pa.list_(pa.string()))])
WRITTEN = pa.unify_schemas(
    [SCHEMA, pa.schema([("url", pa.string()), ("duplicate_of", pa.list_(pa.string())), ("license", pa.string())])]
)
"""Columns that 'corpora label' writes. A set made by hand may lack the last three; an audit finds more with them."""


class LabelError(StackbertError):
    """A label is unknown, empty or repeated, or a post has none."""


@dataclass(frozen=True, eq=False)
class Split:
    """One split of the labelled set."""

    ids: list[str]
    texts: list[str]
    """Title and body."""
    targets: Codes
    """(N, L) uint8: 1 where the post has the label."""


def load_labelled(folder: Path, split: str) -> Split:
    """Read and check a split, made by 'stackbert corpora label' or by hand in the same format.

    A post without labels is an error, unless the set has the label 'misc': then it gets that one.

    Raises LabelError with file, row and the nearest label, StackbertError if a text is missing.
    """
    path = folder / f"{split}.parquet"
    names = label_names(folder)
    if not path.is_file():
        found = ", ".join(other for other in SPLITS if (folder / f"{other}.parquet").is_file()) or "none"
        raise StackbertError(f"{path}: no such file; splits in this folder: {found}")
    try:
        table = pq.read_table(path, columns=SCHEMA.names)
        table = table.cast(SCHEMA) if len(table) else table  # an empty column can have any type
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise StackbertError(f"{path}: needs the columns id, text and labels (a list of strings): {error}") from None
    if not len(table):
        raise StackbertError(f"{path}: the {split} split holds no text; train, dev and test each need some")
    ids, texts = table["id"].to_pylist(), table["text"].to_pylist()
    if None in texts:
        raise StackbertError(f"{path}: row {texts.index(None) + 1}: the text is missing")
    return Split(ids, texts, _targets_NL(path, table["labels"].combine_chunks(), ids, names))


def license_counts(folder: Path, split: str) -> dict[str, int]:
    """Licence -> number of posts of a split, the most frequent first; posts without a licence are not counted."""
    path = folder / f"{split}.parquet"
    if "license" not in pq.read_schema(path).names:
        return {}
    entries = pc.value_counts(pq.read_table(path, columns=["license"])["license"].combine_chunks()).to_pylist()
    counts = {entry["values"]: entry["counts"] for entry in entries if entry["values"]}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def label_names(folder: Path) -> tuple[str, ...]:
    """The labels, in the order of the columns of the targets."""
    path = folder / LABELS_FILE
    try:
        return check_names([entry["name"] for entry in json.loads(path.read_text("utf-8-sig"))], str(path))
    except FileNotFoundError:
        raise StackbertError(f"{path}: no such file; make it with 'stackbert corpora label'") from None
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, StackbertError):
            raise
        raise StackbertError(f'{path}: should be a list of {{"name": ..., "posts": ...}}: {error}') from None


def check_names(names: Sequence[str], where: str) -> tuple[str, ...]:
    """The names, if they are distinct, non-empty strings; else LabelError, with `where` as its beginning."""
    for number, name in enumerate(names, 1):
        if not isinstance(name, str) or not name.strip():
            raise LabelError(f"{where}: label {number} is empty; remove it")
        if name in names[: number - 1]:
            raise LabelError(f"{where}: label {name!r} is named twice; remove one")
    if not names:
        raise LabelError(f"{where}: holds no label")
    return tuple(names)


def _targets_NL(path: Path, labels: pa.ListArray, ids: list[str], names: tuple[str, ...]) -> Codes:
    """(N, L) uint8 from a list of label names for each post."""
    counts_N = np.array([len(row) if row else 0 for row in labels.to_pylist()])
    rows, flat = np.repeat(np.arange(len(counts_N)), counts_N), labels.flatten().to_pylist()
    column_of = {name: column for column, name in enumerate(names)}
    columns = np.array([column_of.get(name, -1) for name in flat], int)
    unknown = np.flatnonzero(columns < 0)
    if unknown.size:
        raise LabelError(f"{_row_name(path, int(rows[unknown[0]]), ids)}: {_complaint(flat[unknown[0]], names)}")
    targets_NL = np.zeros((len(counts_N), len(names)), np.uint8)
    np.add.at(targets_NL, (rows, columns), 1)
    twice = np.argwhere(targets_NL > 1)
    if twice.size:
        row, column = twice[0]
        raise LabelError(f"{_row_name(path, int(row), ids)}: label {names[column]!r} is named twice; remove one")
    without = np.flatnonzero(counts_N == 0)
    if without.size and MISC not in names:
        raise LabelError(
            f"{_row_name(path, int(without[0]), ids)}: no label; remove the row, or add '{MISC}' to {LABELS_FILE}"
        )
    if without.size:
        targets_NL[without, names.index(MISC)] = 1
    return targets_NL


def _row_name(path: Path, row: int, ids: list[str]) -> str:
    return f"{path}: row {row + 1} (id {ids[row]!r})"


def _complaint(name: str | None, names: tuple[str, ...]) -> str:
    if not name or not name.strip():
        return "an empty label; remove it"
    return f"label {name!r} is not among the {len(names)} labels of {LABELS_FILE}{nearest_hint(name, names)}"
