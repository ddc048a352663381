"""A row of a table, as every reader of tables yields it."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from corpora.sources.source import Dropped

ROWS_PER_BATCH = 500

Row: TypeAlias = tuple[str, dict[str, Any] | Dropped]
"""Line or row number, and values by column."""
Rows: TypeAlias = Iterator[Row]
