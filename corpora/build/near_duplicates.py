"""Posts that share most of their text with an earlier one, found by datatrove's MinHash de-duplication."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WordTokenizer

from corpora.build.exact_duplicates import REPEATS, of_part
from corpora.build.part import POSTS, part_folder
from corpora.post import whole_text

# 14 buckets of 8 hashes of 5 words: of pairs that share 0.8 of these, 0.92 are found. SHA-1, for the default hash of
# this datatrove does not take the strings it is given by the newest xxhash.
CONFIG = MinhashConfig(hash_config=HashConfig(hash_fc="sha1"))
_WORD = re.compile(r"\w+|[^\w\s]")


class Words(WordTokenizer):
    """Words and signs, in any language; datatrove's own tokenizers need a package for each."""

    def word_tokenize(self, text: str) -> list[str]:
        return _WORD.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return [text]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


class ReadParts(PipelineStep):
    """Yields a part's posts without those whose text stands before."""

    type, name = "corpora", "read parts"

    def __init__(self, scratch: Path, ranges: int) -> None:
        super().__init__()
        self.scratch, self.ranges = scratch, ranges

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield them with their whole text."""
        repeated = set(of_part(self.scratch / "ranges", REPEATS, self.ranges, rank)["row"].to_pylist())
        number, columns = 0, ["id", "kind", "title", "text"]
        source = pq.ParquetFile(part_folder(self.scratch / "parts", rank) / POSTS)
        for batch in source.iter_batches(2_000, columns=columns):
            for row in batch.to_pylist():
                if number not in repeated:
                    yield Document(text=whole_text(row["kind"], row["title"], row["text"]), id=row["id"])
                number += 1


def find_near_duplicates(
    scratch: Path, parts: int, ranges: int, run: Callable[[str, list[PipelineStep], int], None]
) -> None:
    """Find them, in three passes of `run(title, steps, tasks)`; the last takes memory for each pair that is found."""
    folders = {name: str(scratch / "near" / name) for name in ("signatures", "pairs", "removed")}
    signatures = MinhashDedupSignature(folders["signatures"], CONFIG, language=Words())
    run("minhash signatures", [ReadParts(scratch, ranges), signatures], parts)
    pairs = MinhashDedupBuckets(folders["signatures"], folders["pairs"], config=CONFIG)
    run("minhash pairs", [pairs], CONFIG.num_buckets)
    run("minhash clusters", [MinhashDedupCluster(folders["pairs"], folders["removed"], CONFIG)], 1)


def near_duplicates(scratch: Path, part: int) -> np.ndarray:
    """Of a part's posts that are no exact duplicates, the numbers of those that are near ones."""
    path = scratch / "near" / "removed" / f"{part:06d}.remove"
    return np.fromfile(path, "<u4") if path.exists() else np.empty(0, np.uint32)
