"""Learning curves of runs."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from pretrain.measure.curves import draw_runs, read_curve
from stackbert.core.artifact import build_artifact, write_json
from stackbert.core.errors import StackbertError


def finished_run(out: Path, first_bits: float) -> Path:
    """A run's output with validations at three steps."""
    points = [
        {"step": step, "tokens": 64 * step, "loss": 3.0, "accuracy": 0.1, "bits_per_byte": first_bits - step}
        for step in range(3)
    ]
    build_artifact(out, "pretrain run", {}, {}, lambda folder: write_json(folder / "history.json", points) or {})
    return out


def test_runs_are_drawn_with_their_names_and_results(tmp_path):
    runs = {f"seed <{seed}>": finished_run(tmp_path / str(seed), 5.0 + seed) for seed in (0, 1)}
    table = draw_runs(runs, tmp_path / "plots" / "curves.svg")
    picture = ElementTree.parse(tmp_path / "plots" / "curves.svg").getroot()  # noqa: S314 - what we drew
    assert {"seed <0>", "seed <1>", "tokens read"} <= {text.strip() for text in picture.itertext()}
    for run in runs.values():
        points = read_curve(run)
        assert f"| {points[0]['bits_per_byte']:.3f} | {points[-1]['bits_per_byte']:.3f} |" in table


def test_curve_of_a_real_run_has_each_validation(straight):
    assert [point["step"] for point in read_curve(straight)] == [0, 12, 24]
    assert {"tokens", "loss", "accuracy", "bits_per_byte"} <= read_curve(straight)[0].keys()


def test_folder_that_is_not_a_run_is_refused(small_rows, tmp_path):
    with pytest.raises(StackbertError, match="pretrain run"):
        draw_runs({"rows": small_rows / "rows"}, tmp_path / "curves.svg")
