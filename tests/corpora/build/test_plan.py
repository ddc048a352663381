"""The projected resources for a dump, from a sample."""

from dataclasses import replace
from pathlib import Path

import pytest

from corpora.build.plan import Rates, plan_corpus, project
from corpora.config import CorpusConfig, PlanConfig
from stackbert.core.errors import StackbertError
from tests.corpora.dumps import write_dump

RATES = Rates(
    megabytes=100.0,
    posts=70_000,
    read_seconds=8.0,
    find_seconds=0.5,
    write_seconds=1.5,
    hash_seconds=0.1,
    unpack_seconds=0.0,
    scratch_bytes=40_000_000,
    out_bytes=30_000_000,
    worker_bytes=200_000_000,
)
CONFIG = CorpusConfig(source="dump", path="Posts.xml")


def test_parallel_work_is_divided_and_serial_work_is_not() -> None:
    one, many = (project(RATES, 100.0, cores, part_megabytes=32.0) for cores in (1, 16))
    shared, alone = 1_000 * 10.0, 1_000 * 0.1 * 1.3 + 2 * 3_125 * 0.005
    assert one.hours * 3_600 == pytest.approx(shared + alone)
    assert many.hours * 3_600 == pytest.approx(shared / 16 * (196 * 16 / 3_125) + alone)
    assert one.disk_gigabytes == many.disk_gigabytes == pytest.approx(70.0)
    assert many.memory_gigabytes == pytest.approx(16 * 0.2 + 0.2)


def test_cores_beyond_the_parts_are_idle_and_unpacking_is_serial() -> None:
    assert project(RATES, 0.1, 16, 50.0).hours == pytest.approx(project(RATES, 0.1, 2, 50.0).hours)
    packed = replace(RATES, unpack_seconds=3.0)
    assert project(packed, 100.0, 256, 32.0).hours * 3_600 > 3_000
    assert project(packed, 100.0, 1, 32.0).hours == project(RATES, 100.0, 1, 32.0).hours


def test_a_sample_of_a_dump_is_built_and_projected(tmp_path: Path) -> None:
    write_dump(tmp_path, 12_000)
    plan = plan_corpus(CONFIG, PlanConfig(sample_megabytes=1, gigabytes=100, cores=(1, 4)), tmp_path)
    assert plan.rates.posts > 1_000 and plan.rates.worker_bytes > 50_000_000
    assert plan.projections[0].hours > 3 * plan.projections[1].hours > 0
    assert "| cores | hours | disk GB | memory GB | disk MB/s |" in str(plan)


def test_the_projection_of_an_archive_includes_unpacking(tmp_path: Path) -> None:
    py7zr = pytest.importorskip("py7zr")
    path = write_dump(tmp_path, 6_000)
    with py7zr.SevenZipFile(tmp_path / "site.7z", "w") as archive:
        archive.write(path, "Posts.xml")
    plan = plan_corpus(replace(CONFIG, path="site.7z"), PlanConfig(sample_megabytes=0.5), tmp_path)
    assert plan.rates.unpack_seconds > 0 and "unpacking" in str(plan)
    assert plan.gigabytes == pytest.approx(path.stat().st_size / 1e9)


def test_other_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StackbertError, match="plan needs source 'dump'"):
        plan_corpus(CorpusConfig(), PlanConfig(), tmp_path)
    with pytest.raises(StackbertError, match="no such file"):
        plan_corpus(CONFIG, PlanConfig(), tmp_path)
    with pytest.raises(StackbertError, match="cores must be 1 or more"):
        PlanConfig(cores=(0,))
