"""Parts are independent of each other, also where two are built at the same time in one process."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from corpora.build.part import COUNTS, POSTS, part_folder
from corpora.build.steps import PartJob, build_part
from corpora.config import CorpusConfig
from corpora.sources.dump import dump_source
from tests.corpora.dumps import sentence


def row(number: int, body: str) -> tuple[int, bytes]:
    return number, f'<row Id="{number}" PostTypeId="1" Title="T" Tags="|js|" Body="{body}" />'.encode()


@pytest.fixture
def job(tmp_path: Path) -> PartJob:
    path = tmp_path / "Posts.xml"
    path.write_text("<posts>\n</posts>\n")
    config = CorpusConfig(source="dump", path=str(path))
    return PartJob(tmp_path / "parts", dump_source(path, config), config, synonyms={"js": "javascript"})


def ids(job: PartJob, number: int) -> list[str]:
    return pq.read_table(part_folder(job.folder, number) / POSTS)["id"].to_pylist()


def test_two_parts_that_are_built_at_the_same_time_do_not_mix(job: PartJob) -> None:
    def rows() -> Iterator[tuple[int, bytes]]:
        yield row(1, sentence(1))
        build_part(job, 1, [row(2, sentence(2)), row(3, "x")])
        yield row(4, sentence(4))

    written = build_part(job, 0, rows())
    assert (written.kept, written.dropped) == (2, {})
    assert ids(job, 0) == ["1", "4"] and ids(job, 1) == ["2"]
    counts = json.loads((part_folder(job.folder, 1) / COUNTS).read_text())
    assert (counts["kept"], counts["dropped"]) == (1, {"too_short": 1})


def test_a_part_that_fails_leaves_no_folder(job: PartJob) -> None:
    def rows() -> Iterator[tuple[int, bytes]]:
        yield row(1, sentence(1))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        build_part(job, 0, rows())
    assert not part_folder(job.folder, 0).exists()
    assert build_part(job, 0, [row(1, sentence(1))]).kept == 1
    assert pq.read_table(part_folder(job.folder, 0) / POSTS)["tags"].to_pylist() == [["javascript"]]
