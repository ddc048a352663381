"""Assigns labelled posts to splits, by the hash of the id or by time."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from corpora.arrays import Codes, Indices, Keys
from corpora.balance import Balance
from corpora.config import LabelConfig
from corpora.contamination.evaluation_index import REASONS, EvaluationIndex
from corpora.contamination.key_index import first_occurrences
from corpora.post import Post, post_of
from corpora.post_columns import columns_of_posts, read_columns
from corpora.text_keys import text_keys
from stackbert.core.errors import StackbertError
from stackbert.core.progress import Progress
from stackbert.core.workers import map_in_order, processes_for

# Shape letters: N posts of a shard or of all shards, Y those of them that are labelled.

SELECTED = ("test", "dev", "train")  # in this order: a split has no contamination of those before it
REASONS_UNLABELLED = ("", "answer", "no_tags", "other_tags", "no_date")
NO_DATE = np.iinfo(np.int64).min
POSTS_PER_BATCH = 500
FEWEST_DATED = 0.5
"""Share of labelled posts whose date must be known for `test_from`: with fewer, which posts have one would decide what
is tested."""


def id_hash(post_id: str, seed: int) -> int:
    """A 64-bit hash of the id, keyed by the seed."""
    digest = hashlib.blake2b(post_id.encode(), key=str(seed).encode(), digest_size=8).digest()
    return int.from_bytes(digest)


def moment(created: str | None) -> int:
    """ISO 8601 date -> microseconds since 1970, in UTC by default; NO_DATE if it cannot be parsed.

    >>> moment("1970-01-01T00:00:01.5"), moment("1970-01-01 01:00+01:00"), moment("once") == NO_DATE
    (1500000, 0, True)
    """
    try:
        date = datetime.fromisoformat(created or "")
    except ValueError:
        return NO_DATE
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return round((date - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)


def iso(microseconds: int) -> str:
    """Microseconds since 1970 -> ISO 8601 date.

    >>> iso(1_500_000)
    '1970-01-01T00:00:01.500000+00:00'
    """
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).isoformat(timespec="microseconds")


def drop_coded(balance: Balance, codes: Codes, reasons: Sequence[str]) -> None:
    """Count drops by their codes, which are indices in `reasons`; 0 is a post that is kept."""
    counts = np.bincount(codes, minlength=len(reasons))
    for code in (np.flatnonzero(counts[1:]) + 1).tolist():
        balance.drop(reasons[code], int(counts[code]))


class Splits:
    """The labelled posts, numbered in the order of reading, and the split that each is assigned to.

    With split 'time', the latest test_share of the labelled posts are assigned to test and the dev_share before them to
    dev; a post created exactly at a border belongs to the later split. Posts without a date are dropped as 'no_date'.
    With `test_from`, the posts from then on are assigned to test, and the others to dev and train by the same rule.
    Raises StackbertError where their dates do not allow it.

    Memory holds 41 bytes per labelled post and one byte for any other.
    """

    def __init__(self, paths: Sequence[Path], labels: Sequence[str], config: LabelConfig) -> None:
        self.labelled = Balance("labelled")
        self.balances = {name: Balance(name) for name in SELECTED}
        self._paths, self._config = paths, config
        scan = partial(_scan, labels=frozenset(labels), config=config)
        scans = []
        with Progress("reading labels", len(paths), unit="shards") as progress:
            for found in map_in_order(scan, paths, processes_for(paths, config.processes)):
                scans.append(found)
                drop_coded(self.labelled, found.reasons_N, REASONS_UNLABELLED)
                progress.advance()
        self._starts = np.cumsum([0, *(len(found.reasons_N) for found in scans)])
        reasons_N = np.concatenate([found.reasons_N for found in scans])
        keys_Y, titles_Y, hashes_Y, moments_Y = (
            np.concatenate([getattr(found, name) for found in scans])
            for name in ("keys_Y", "titles_Y", "hashes_Y", "moments_Y")
        )
        del scans
        # A repeated text, or a question repeated with a shorter or longer body.
        new_Y = first_occurrences(keys_Y) & first_occurrences(titles_Y)
        self.labelled.kept = int(np.count_nonzero(new_Y))
        self.labelled.drop("duplicate", int(np.count_nonzero(~new_Y)))
        self._numbers_Y = np.flatnonzero(reasons_N == 0)[new_Y]
        self._hashes_Y, self._moments_Y = hashes_Y[new_Y], moments_Y[new_Y]
        self.borders = self._borders()
        self._split_of_Y = self._divide()

    @property
    def dates(self) -> dict[str, int | str]:
        """With `test_from`: labelled posts with and without a date, and the first and the last date."""
        if not self._config.test_from:
            return {}
        known = self._moments_Y[self._moments_Y != NO_DATE]
        first, last = iso(int(known.min())), iso(int(known.max()))
        return {"known": len(known), "unknown": len(self._moments_Y) - len(known), "first": first, "last": last}

    def select(self, name: str, evaluation: EvaluationIndex | None) -> Indices:
        """The ascending numbers of a split's posts, without those that contaminate `evaluation`.

        Above the configured maximum, the posts with the lowest hashes are selected.
        """
        balance = self.balances[name]
        indices = np.flatnonzero(self._split_of_Y == SELECTED.index(name))
        waiting = self._numbers_Y[indices[np.argsort(self._hashes_Y[indices], kind="stable")]]
        maximum = getattr(self._config, f"max_{name}") or len(waiting)
        chosen = np.empty(0, np.int64)
        while len(chosen) < maximum and len(waiting):
            wanted = maximum - len(chosen)
            batch, waiting = np.sort(waiting[:wanted]), waiting[wanted:]
            if evaluation:
                reasons = self._reasons(batch, evaluation)
                drop_coded(balance, reasons, REASONS)
                batch = batch[reasons == 0]
            chosen = np.concatenate([chosen, batch])
        balance.kept = len(chosen)
        balance.drop("over_maximum", len(waiting))
        return np.sort(chosen)

    def read(self, numbers: Indices) -> Iterator[Post]:
        """The posts with these ascending numbers."""
        for path, rows in self._by_shard(numbers):
            yield from read_rows(path, rows)

    def _reasons(self, numbers: Indices, evaluation: EvaluationIndex) -> Codes:
        """Codes of the contamination by these posts, indices in REASONS."""
        work = list(self._by_shard(numbers))
        processes = processes_for([path for path, _ in work], self._config.processes)
        return np.concatenate(list(map_in_order(partial(_find_rows, evaluation=evaluation), work, processes)))

    def _by_shard(self, numbers: Indices) -> Iterator[tuple[Path, Indices]]:
        cuts = np.searchsorted(numbers, self._starts)
        for path, start, first, last in zip(self._paths, self._starts, cuts, cuts[1:], strict=False):
            if first < last:
                yield path, numbers[first:last] - start

    def _borders(self) -> dict[str, int]:
        """The moments 'dev_from' and 'test_from' at which dev and test begin, as far as splits are by time."""
        config, moments = self._config, np.sort(self._moments_Y)
        if not len(moments):
            return {}
        borders = {}
        if config.test_from:
            self._check_dates()
            borders["test_from"] = moment(config.test_from)
            moments = moments[moments < borders["test_from"]]
        if config.split == "time":
            shares = (config.dev_share, 0.0 if config.test_from else config.test_share)
            dev, test = (len(moments) - round(len(moments) * share) for share in (sum(shares), shares[1]))
            last = len(moments) - 1
            borders = {"dev_from": int(moments[min(dev, last)]), "test_from": int(moments[min(test, last)])} | borders
        return borders

    def _check_dates(self) -> None:
        """Raise StackbertError unless `test_from` divides the labelled posts, most of which have dates."""
        known, start = self._moments_Y[self._moments_Y != NO_DATE], self._config.test_from
        if len(known) < FEWEST_DATED * len(self._moments_Y):
            raise StackbertError(
                f"test_from {start}: {len(known):,} of {len(self._moments_Y):,} labelled posts have a date; name the "
                "column of dates (date_column) when building the corpus from its table, or leave test_from out"
            )
        later = int(np.count_nonzero(known >= moment(start)))
        if later in (0, len(self._moments_Y)):
            first, last = (iso(int(when))[:10] for when in (known.min(), known.max()))
            raise StackbertError(
                f"test_from {start}: {later:,} of {len(self._moments_Y):,} labelled posts are of that day or later; "
                f"their dates go from {first} to {last}: choose a day between"
            )

    def _divide(self) -> Indices:
        """Index in SELECTED of each labelled post's split."""
        config, share_Y = self._config, self._hashes_Y / 2.0**64
        if "dev_from" in self.borders:
            dev_Y = self._moments_Y >= self.borders["dev_from"]
        else:
            dev_Y = share_Y < (config.dev_share if config.test_from else config.test_share + config.dev_share)
        test_Y = share_Y < config.test_share
        if self.borders:
            test_Y = self._moments_Y >= self.borders["test_from"]
        return np.where(test_Y, 0, np.where(dev_Y, 1, 2))


@dataclass(frozen=True)
class _Scan:
    """What the split of a shard's posts depends on."""

    reasons_N: Codes
    """Indices in REASONS_UNLABELLED; 0 for a labelled post."""
    keys_Y: Keys
    """Keys of the whole texts."""
    titles_Y: Keys
    """Keys of id and title together."""
    hashes_Y: Keys
    """Hashes of the ids, see id_hash."""
    moments_Y: npt.NDArray[np.int64]
    """Dates, see moment; 0 unless a split is by time."""


def _scan(path: Path, labels: frozenset[str], config: LabelConfig) -> _Scan:
    reasons = bytearray()
    columns: list[list[npt.NDArray[Any]]] = [[], [], [], []]
    for batch, posts in read_columns(path):
        kinds, tags = batch["kind"].to_pylist(), batch["tags"].to_pylist()
        by_time = config.split == "time" or config.test_from
        moments = [moment(created) for created in batch["created"].to_pylist()] if by_time else None
        codes = [_unlabelled(kind, names, labels, config.misc) for kind, names in zip(kinds, tags, strict=True)]
        if moments and config.split == "time":
            codes = [code or (4 if when == NO_DATE else 0) for code, when in zip(codes, moments, strict=True)]
        reasons += bytes(codes)
        rows = [row for row, code in enumerate(codes) if not code]
        keys = text_keys([posts.titles[row] for row in rows], [posts.texts[row] for row in rows])
        hashes = np.array([id_hash(posts.ids[row], config.seed) for row in rows], np.uint64)
        titled = np.where(keys.titles_N != 0, keys.titles_N ^ hashes, np.uint64(0))
        when = np.array([moments[row] if moments else 0 for row in rows], np.int64)
        for column, values in zip(columns, (keys.wholes_N, titled, hashes, when), strict=True):
            column.append(values)
    empty = (np.empty(0, np.uint64),) * 3 + (np.empty(0, np.int64),)
    joined = (np.concatenate([first, *values]) for first, values in zip(empty, columns, strict=True))
    return _Scan(np.frombuffer(bytes(reasons), np.uint8), *joined)


def _unlabelled(kind: str, tags: Sequence[str], labels: frozenset[str], misc: bool) -> int:
    """Code of why a post is not labelled, an index in REASONS_UNLABELLED; 0 if it is."""
    if kind == "answer":
        return 1
    if not tags:
        return 2
    return 0 if misc or not labels.isdisjoint(tags) else 3


def read_rows(path: Path, rows: Indices) -> Iterator[Post]:
    """The posts in these ascending rows of a shard; row groups without any are not read."""
    file, start = pq.ParquetFile(path), 0
    for group in range(file.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        first, last = np.searchsorted(rows, (start, end))
        if first < last:
            taken = file.read_row_group(group).take(pa.array(rows[first:last] - start))
            for row in taken.to_pylist():
                yield post_of(row)
        start = end


def _find_rows(work: tuple[Path, Indices], evaluation: EvaluationIndex) -> Codes:
    posts, reasons = list(read_rows(*work)), []
    for start in range(0, len(posts), POSTS_PER_BATCH):
        reasons.append(evaluation.find(columns_of_posts(posts[start : start + POSTS_PER_BATCH])).reasons_N)
    return np.concatenate(reasons)
