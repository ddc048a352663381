"""Names of numbered classes, as Hugging Face data sets keep them: tags 0, 1, 2 stand for 'bug', 'question', 'idea'."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

INFO_FILE = "dataset_info.json"
METADATA = b"huggingface"


def class_names(path: Path, column: str) -> tuple[str, ...]:
    """Names of the classes of a column, or of the items of its lists; empty where `path` has none."""
    return _names(_features(path), column)


def _features(path: Path) -> Any:
    """The features of a Parquet file, of the first in a folder, or of a saved data set; None where there are none."""
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path] if path.suffix.lower() == ".parquet" else []
    try:
        if files:
            metadata = pq.read_schema(files[0]).metadata or {}
            return json.loads(metadata.get(METADATA, b"{}")).get("info", {}).get("features")
        infos = sorted((*path.glob(INFO_FILE), *path.glob(f"*/{INFO_FILE}")))
        return json.loads(infos[0].read_text("utf-8")).get("features") if infos else None
    except (OSError, ValueError, AttributeError, pa.ArrowException):
        return None  # the reader of the table says what is wrong with it


def _names(features: Any, column: str) -> tuple[str, ...]:
    feature = features.get(column) if isinstance(features, Mapping) else None
    while isinstance(feature, Mapping | list) and "names" not in feature:  # a list of classes
        feature = feature[0] if isinstance(feature, list) and feature else dict(feature or {}).get("feature")
    names = feature.get("names") if isinstance(feature, Mapping) else None
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if names and is_list else ()
