"""Finds posts that share most of their text with an earlier one, by datatrove's MinHash de-duplication."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WordTokenizer

from corpora.build.exact_duplicates import DUPLICATES, rows_of_part
from corpora.build.part import POSTS, part_folder
from corpora.build.step import Step
from corpora.post import whole_text

# 14 buckets of 8 hashes over 5-grams of words: finds 0.92 of the pairs whose 5-grams have a Jaccard similarity of 0.8.
# SHA-1, because this datatrove passes strings to xxhash, its default, and the newest xxhash takes bytes alone.
CONFIG = MinhashConfig(hash_config=HashConfig(hash_fc="sha1"))
_WORD = re.compile(r"\w+|[^\w\s]")


class Words(WordTokenizer):  # type: ignore[misc] # datatrove has no type information
    """Words and punctuation marks of any language; datatrove's own tokenizers need a package for each language."""

    def word_tokenize(self, text: str) -> list[str]:
        return _WORD.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return [text]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


class ReadParts(Step):
    """Yields the posts of a part without exact duplicates."""

    name = "read parts"

    def __init__(self, scratch: Path, ranges: int) -> None:
        super().__init__()
        self.scratch, self.ranges = scratch, ranges

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield the posts of part `rank` with their whole text."""
        duplicates = set(rows_of_part(self.scratch / "ranges", DUPLICATES, self.ranges, rank)["row"].to_pylist())
        number, columns = 0, ["id", "kind", "title", "text"]
        source = pq.ParquetFile(part_folder(self.scratch / "parts", rank) / POSTS)
        for batch in source.iter_batches(2_000, columns=columns):
            for row in batch.to_pylist():
                if number not in duplicates:
                    yield Document(text=whole_text(row["kind"], row["title"], row["text"]), id=row["id"])
                number += 1


def find_near_duplicates(
    scratch: Path, parts: int, ranges: int, run: Callable[[str, Sequence[PipelineStep], int], None]
) -> None:
    """Write the near duplicates of each part, in three calls of `run(title, steps, tasks)`.

    The last one holds every pair of similar posts in memory.
    """
    folders = {name: str(scratch / "near" / name) for name in ("signatures", "pairs", "removed")}
    signatures = MinhashDedupSignature(folders["signatures"], CONFIG, language=Words())
    run("minhash signatures", [ReadParts(scratch, ranges), signatures], parts)
    pairs = MinhashDedupBuckets(folders["signatures"], folders["pairs"], config=CONFIG)
    run("minhash pairs", [pairs], CONFIG.num_buckets)
    run("minhash clusters", [MinhashDedupCluster(folders["pairs"], folders["removed"], CONFIG)], 1)


def near_duplicates(scratch: Path, part: int) -> npt.NDArray[np.uint32]:
    """Numbers of a part's near duplicates, counted over its posts that are no exact duplicates."""
    path = scratch / "near" / "removed" / f"{part:06d}.remove"
    return np.fromfile(path, "<u4") if path.exists() else np.empty(0, np.uint32)
