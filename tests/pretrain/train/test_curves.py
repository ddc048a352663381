"""Learning curves of runs."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from pretrain.config import PretrainConfig
from pretrain.run import run_pretraining
from pretrain.train.curves import draw_runs, read_curve
from stackbert.core.errors import StackbertError


def test_runs_are_drawn_with_their_names_and_figures(small_rows, tmp_path):
    config = PretrainConfig(base="random-tiny", steps=2, batch_rows=2, evaluations=2, validation_rows=4)
    runs = {}
    for seed in (0, 1):
        runs[f"seed <{seed}>"] = tmp_path / str(seed)
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / str(seed), replace(config, seed=seed))
    table = draw_runs(runs, tmp_path / "plots" / "curves.svg")
    picture = ElementTree.parse(tmp_path / "plots" / "curves.svg").getroot()  # noqa: S314 - what we drew
    assert {"seed <0>", "seed <1>", "tokens read"} <= {text.strip() for text in picture.itertext()}
    for run in runs.values():
        points = read_curve(run)
        assert [point["step"] for point in points] == [0, 1, 2]
        assert f"| {points[0]['bits_per_byte']:.3f} | {points[-1]['bits_per_byte']:.3f} |" in table


def test_folder_that_is_no_run_is_an_error(small_rows, tmp_path):
    with pytest.raises(StackbertError, match="pretrain run"):
        draw_runs({"rows": small_rows / "rows"}, tmp_path / "curves.svg")
