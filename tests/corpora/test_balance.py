"""The balance and its line of progress, on a clock of its own."""

import pytest

from corpora.balance import PROGRESS_SECONDS, Balance


def test_progress_is_shown_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    balance = Balance("corpus", clock=lambda: now)
    for _ in range(3):
        now += PROGRESS_SECONDS * 0.6
        balance.keep()
    assert capsys.readouterr().err == "corpus: read 2 = kept 2\n"


def test_counts_add_up() -> None:
    balance = Balance("corpus")
    balance.keep()
    balance.drop("b", 3)
    balance.drop("a", 0)
    assert balance.counts() == {"read": 4, "kept": 1, "dropped": {"b": 3}}
