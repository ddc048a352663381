"""Counts that describe a corpus, computed shard by shard: memory holds one batch and the counts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpora.datasheet.code_share import CodeRule
from corpora.post import shards
from stackbert.core.scripts import count_code_points, letters_by_script
from stackbert.core.workers import map_in_order

LONGEST = 2**16 - 1  # characters; longer texts are counted with this length
POSTS_PER_BATCH = 5_000
COLUMNS = ["kind", "title", "text", "tags", "score", "created", "license", "url", "author", "duplicate_of"]
SHARES = 20  # bins of a post's share of code


@dataclass
class CorpusFigures:
    """Counts over posts; those of several shards can be added."""

    kinds: Counter[str] = field(default_factory=Counter)
    characters: int = 0
    """Characters of titles and bodies, as later stages read them."""
    code_characters: int = 0
    posts_with_code: int = 0
    longest: int = 0
    lengths: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    """Kind -> number of posts of each length in characters, (LONGEST + 1,)."""
    code_shares: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(SHARES, np.int64))
    """Histogram of the share of code in posts with code, (SHARES,); the last bin includes 100 %."""
    tags: Counter[str] = field(default_factory=Counter)
    tags_per_post: Counter[int] = field(default_factory=Counter)
    """Number of tags -> questions and documents with so many."""
    years: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    """Column -> posts in which it is empty."""
    scripts: Counter[str] = field(default_factory=Counter)
    """Script, such as Latin -> letters in titles and bodies."""
    duplicates: int = 0
    """Questions that were closed as duplicates."""

    @property
    def posts(self) -> int:
        """All posts."""
        return self.kinds.total()

    def add(self, other: "CorpusFigures") -> None:
        """Add the counts of another shard."""
        for name, value in vars(other).items():
            own = getattr(self, name)
            if isinstance(value, Counter):
                own.update(value)
            elif name == "longest":
                self.longest = max(own, value)
            elif name == "lengths":
                for kind, counts in value.items():
                    self.lengths[kind] = self.lengths.get(kind, 0) + counts
            else:
                setattr(self, name, own + value)

    def quantiles(self, kind: str, shares: Sequence[float]) -> list[int]:
        """Quantiles of the length in characters of a kind's posts."""
        counts = np.cumsum(self.lengths[kind])
        return [int(np.searchsorted(counts, max(share * counts[-1], 1))) for share in shares]


def corpus_figures(folder: Path, rule: CodeRule, processes: int = 0) -> CorpusFigures:
    """Count the posts of a folder; `processes` 0 is one a core."""
    figures = CorpusFigures()
    for shard in map_in_order(partial(shard_figures, rule=rule), shards(folder), processes):
        figures.add(shard)
    return figures


def shard_figures(path: Path, rule: CodeRule) -> CorpusFigures:
    """Count the posts of one shard."""
    figures = CorpusFigures()
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=POSTS_PER_BATCH, columns=COLUMNS):
            _count_columns(figures, batch)
            _count_texts(figures, batch, rule)
            _count_scripts(figures, batch)
    return figures


def _count_columns(figures: CorpusFigures, batch: pa.RecordBatch) -> None:
    """Count what Arrow can count."""
    _count(figures.kinds, batch["kind"])
    _count(figures.licenses, batch["license"].drop_null())
    years = pc.utf8_slice_codeunits(batch["created"].drop_null(), 0, 4)
    _count(figures.years, years.filter(pc.match_substring_regex(years, "^[0-9]{4}$")))
    not_answers = pc.not_equal(batch["kind"], "answer")  # an answer has the tags of its question
    tags = batch["tags"].filter(not_answers)
    _count(figures.tags, pc.list_flatten(tags))
    _count(figures.tags_per_post, pc.list_value_length(tags))
    figures.missing.update({name: batch[name].null_count for name in ("score", "created", "license", "url", "author")})
    figures.missing["title"] += pc.sum(pc.equal(pc.utf8_length(batch["title"]), 0)).as_py()
    figures.duplicates += pc.sum(pc.greater(pc.list_value_length(batch["duplicate_of"]), 0)).as_py()


def _count_texts(figures: CorpusFigures, batch: pa.RecordBatch, rule: CodeRule) -> None:
    """Count the lengths of titles and bodies, and the code in the bodies."""
    bodies_N = pc.utf8_length(batch["text"]).to_numpy(zero_copy_only=False).astype(np.int64)
    titles_N = pc.utf8_length(batch["title"]).to_numpy(zero_copy_only=False).astype(np.int64)
    kinds_N = np.asarray(batch["kind"].to_pylist())
    titles_N[kinds_N == "answer"] = 0
    lengths_N = bodies_N + titles_N + ((bodies_N > 0) & (titles_N > 0))
    for kind in np.unique(kinds_N).tolist():
        counts = np.bincount(np.minimum(lengths_N[kinds_N == kind], LONGEST), minlength=LONGEST + 1)
        figures.lengths[kind] = figures.lengths.get(kind, 0) + counts
    figures.characters += int(lengths_N.sum())
    figures.longest = max(figures.longest, int(lengths_N.max(initial=0)))
    code_N = np.fromiter(map(rule.characters, batch["text"].to_pylist()), np.int64, batch.num_rows)
    has_code_N = code_N > 0
    figures.code_characters += int(code_N.sum())
    figures.posts_with_code += int(has_code_N.sum())
    bins_N = np.minimum(code_N[has_code_N] * SHARES // lengths_N[has_code_N], SHARES - 1)
    figures.code_shares = figures.code_shares + np.bincount(bins_N, minlength=SHARES)


def _count_scripts(figures: CorpusFigures, batch: pa.RecordBatch) -> None:
    """Count the letters of titles and bodies by script; an answer's title is its question's."""
    own_titles = batch["title"].filter(pc.not_equal(batch["kind"], "answer"))
    texts = [*own_titles.to_pylist(), *batch["text"].to_pylist()]
    figures.scripts.update(letters_by_script(count_code_points(text or "" for text in texts)))


def _count(counter: Counter[Any], values: pa.Array) -> None:
    for entry in pc.value_counts(values).to_pylist():
        counter[entry["values"]] += entry["counts"]
