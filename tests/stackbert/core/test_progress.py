"""Progress: lines in a log, a bar on a terminal, and a time left that compilation does not spoil."""

import io

import pytest
from rich.console import Console

from stackbert.core.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_a_line_now_and_then(capsys):
    clock = Clock()
    with Progress("corpus", 100, unit="parts", line_seconds=10, clock=clock) as progress:
        for _ in range(30):
            clock.now += 1
            progress.advance()
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "corpus: 10 of 100 parts, 1.5 min left",
        "corpus: 20 of 100 parts, 1.3 min left",
        "corpus: 30 of 100 parts, 1.2 min left",
    ]


def test_work_of_unknown_length_is_counted(capsys):
    clock = Clock()
    with Progress("labelled", None, unit="texts", line_seconds=10, clock=clock) as progress:
        for _ in range(2):
            clock.now += 20
            progress.advance(1_500)
    assert capsys.readouterr().err.splitlines() == ["labelled: 1,500 texts", "labelled: 3,000 texts"]
    console = Console(file=io.StringIO(), force_terminal=True)
    with Progress("labelled", None, unit="texts", console=console) as progress:
        progress.advance(3)


def test_time_left_is_reckoned_without_the_compilation():
    clock = Clock()
    progress = Progress("epoch 1", 40, warm_up=2, clock=clock)
    for seconds in (60, 20):
        clock.now += seconds
        progress.advance()
        assert progress.seconds_left is None
    clock.now += 1
    progress.advance()
    assert progress.seconds_left == pytest.approx(37)


def test_compilation_in_the_middle_does_not_count_either():
    clock = Clock()
    progress = Progress("pretraining", 40, clock=clock)
    for seconds in (1, 1, 1):
        clock.now += seconds
        progress.advance()
    progress.warm_up(1)
    clock.now += 60
    progress.advance()
    assert progress.seconds_left is None
    clock.now += 2
    progress.advance()
    assert progress.seconds_left == pytest.approx(2 * 35)


def test_work_that_goes_on_reckons_from_what_it_did_itself():
    clock = Clock()
    progress = Progress("pretraining", 100, done=90, clock=clock)
    clock.now += 5
    progress.advance(5)
    assert progress.seconds_left == pytest.approx(5)


def test_a_note_stays_until_there_is_another(capsys):
    clock = Clock()
    with Progress("steps", 4, line_seconds=0, clock=clock) as progress:
        progress.advance(note="loss 4.0")
        progress.advance()
        progress.advance(note="loss 3.0")
    lines = capsys.readouterr().err.splitlines()
    assert ["loss 4.0" in line for line in lines] == [True, True, False]
    assert "loss 3.0" in lines[-1]


def test_quiet_shows_nothing(capsys):
    with Progress("steps", 4, quiet=True, line_seconds=0) as progress:
        progress.advance(4)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_and_keeps_no_trace_of_it():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    with Progress("corpus", 10, console=console) as progress:
        progress.advance(4, note="3 MB/s")
        progress._bar.refresh()
        shown = stream.getvalue()
    assert "corpus" in shown and "4/10" in shown and "3 MB/s" in shown
    assert stream.getvalue().endswith("\x1b[2K")
