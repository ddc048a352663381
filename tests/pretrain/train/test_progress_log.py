"""The progress line."""

from pretrain.train.progress_log import Meter
from pretrain.train.step import StepFigures


def test_line_says_rate_padding_masked_share_and_updates_left_out(capsys):
    meter = Meter(0, 100, batch_tokens=1_000)
    figures = StepFigures(2.0, 0.5, 0.0, 1.0, guessed=90.0, tokens=900.0, stopping=0.0, learning_rate=1e-4)
    meter.add(1, [figures], left_out=0)
    meter.report()
    assert "left out" not in (line := capsys.readouterr().err)
    assert "step 1/100  loss 2.000" in line
    assert "padding 10.0%  masked 10.0%" in line
    meter.add(3, [figures, figures._replace(loss=4.0)], left_out=1_200)
    meter.report()
    assert "loss 3.000" in (line := capsys.readouterr().err)
    assert "1,200 updates left out" in line
    assert "from the base" not in line
    meter.add(4, [figures._replace(distance=0.25)], left_out=0)
    meter.report()
    assert "loss 2.000  from the base's vectors 0.250" in capsys.readouterr().err


def test_worker_that_does_not_report_is_silent(capsys):
    meter = Meter(0, 10, 100, is_speaking=False)
    meter.add(1, [StepFigures(*[1.0] * 8)], left_out=0)
    meter.report()
    assert capsys.readouterr().err == ""
