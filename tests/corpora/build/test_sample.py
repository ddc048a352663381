"""Samples of sources, for estimates."""

from pathlib import Path

import pandas as pd
import pytest

from corpora.build.build import build_corpus
from corpora.build.sample import sample_source
from corpora.config import CorpusConfig
from stackbert.core.errors import StackbertError
from tests.corpora.dumps import SMALL_PARTS, write_dump

COUNT = 1_000


@pytest.fixture(params=["csv", "parquet"])
def table(request, tmp_path) -> tuple[CorpusConfig, Path]:
    frame = pd.DataFrame({"title": [f"how to sort the rows of table number {number}" for number in range(COUNT)]})
    name = f"posts.{request.param}"
    frame.to_csv(tmp_path / name) if request.param == "csv" else frame.to_parquet(tmp_path / name)
    return CorpusConfig(source="table", path=name, title_column="title"), tmp_path


def test_rows_are_spread_over_the_source_and_their_share_is_known(table):
    sample = sample_source(*table, most=100, seconds=60)
    assert 40 <= len(sample.rows) <= 100
    assert sample.share == pytest.approx(len(sample.rows) / COUNT)
    numbers = [int(values["title"].split()[-1]) for _, values in sample.rows]
    assert min(numbers) < 60 and max(numbers) > COUNT - 60
    assert numbers == sorted(set(numbers))


def test_a_source_that_repeats_itself_is_sampled_evenly(table):
    """Rows at even distances were all of one kind."""
    sample = sample_source(*table, most=300, seconds=60)
    odd = sum(int(values["title"].split()[-1]) % 2 for _, values in sample.rows) / len(sample.rows)
    assert 0.35 < odd < 0.65


def test_a_sample_is_built_as_a_corpus_of_its_own(table, tmp_path):
    config, data = table
    sample = sample_source(config, data, most=100, seconds=60)
    for step in (4, 1):
        counts = build_corpus(tmp_path / f"out-{step}", config, data, sample.thinned(step)).counts
        assert counts["read"] == round(len(sample.rows) / step)


def test_a_small_source_is_its_own_sample(table):
    sample = sample_source(*table, most=5_000, seconds=60)
    assert (sample.share, len(sample.rows)) == (1.0, COUNT)
    assert sample.reduced(0.1).share == pytest.approx(0.1)


def test_parquet_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr("corpora.tables.table.ROWS_PER_PART", 10)
    pd.DataFrame({"title": [f"table {number}" for number in range(COUNT)]}).to_parquet(tmp_path / "posts.parquet")
    config = CorpusConfig(source="table", path="posts.parquet", title_column="title")
    sample = sample_source(config, tmp_path, most=500, seconds=1e-9)
    assert len(sample.rows) == 10
    assert (sample.share, sample.parts) == (pytest.approx(0.01), 100)


def test_a_table_without_rows_has_no_sample(tmp_path):
    (tmp_path / "posts.csv").write_text("title\n", "utf-8")
    with pytest.raises(StackbertError, match=r"posts\.csv: holds no row"):
        sample_source(CorpusConfig(source="table", path="posts.csv", title_column="title"), tmp_path, 10, 1.0)


def test_a_dump_is_sampled_by_its_bytes(tmp_path):
    path = write_dump(tmp_path)
    sample = sample_source(SMALL_PARTS, tmp_path, most=20, seconds=60)
    assert sample.share == pytest.approx(20 * 1_500 / path.stat().st_size)
    assert 0.5 < len(sample.rows) / (900 * sample.share) < 2
    assert build_corpus(tmp_path / "out", SMALL_PARTS, tmp_path, sample.thinned(1)).counts["kept"]
