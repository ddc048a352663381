"""How many tokens an extension adds with 'auto'."""

import pytest

from tokenizer.vocabulary import extension_size
from tokenizer.vocabulary.extension_size import ExtensionStep, choose_size

LETTERS = ["[UNK]", *"abcdefgh", *(f"##{letter}" for letter in "abcdefgh")]
WORDS = {"ab": 40, "cd": 30, "ef": 20, "gh": 1, "a": 9}  # 191 tokens of letters
NEW = ["ab", "cd", "ef", "gh"]


@pytest.fixture(autouse=True)
def _one_token_a_step(monkeypatch):
    monkeypatch.setattr(extension_size, "STEP", 1)


def chosen(min_saved: float, least: int = 0) -> tuple[int, list[ExtensionStep]]:
    return choose_size(lambda number: LETTERS + NEW[:number], least, len(NEW), WORDS, min_saved)


def test_tokens_are_added_until_a_step_saves_too_little(capsys):
    size, steps = chosen(0.05)
    assert size == 3
    assert [(step.added, step.tokens) for step in steps] == [(0, 191), (1, 151), (2, 121), (3, 101), (4, 100)]
    assert [step.saved for step in steps] == [
        None,
        *(pytest.approx(part, abs=1e-5) for part in (40 / 191, 30 / 151, 20 / 121, 1 / 101)),
    ]
    assert steps[0].bytes_per_token == pytest.approx(191 / 191)
    assert steps[-1].bytes_per_token == pytest.approx(191 / 100)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["new", "tokens", "tokens", "of", "text", "bytes", "a", "token", "saved", "by", "1"]
    assert lines[2] == ["1", "151", "1.265", "20.94%"]
    assert " ".join(lines[-1]) == "3 are added: with more, 1 save less than 5.00%"


def test_counting_ends_with_the_first_step_below_the_bound():
    size, steps = chosen(0.2)
    assert size == 1
    assert [step.added for step in steps] == [0, 1, 2]


def test_all_are_added_where_each_saves_enough(capsys):
    assert chosen(0.001)[0] == 4
    assert "no other word is left" in capsys.readouterr().out


def test_tokens_that_must_be_added_are_whatever_they_save():
    assert chosen(0.9, least=2)[0] == 2


def test_fewer_tokens_than_a_step_are_held_to_what_a_whole_one_would_save(monkeypatch):
    monkeypatch.setattr(extension_size, "STEP", 3)
    size, steps = chosen(0.04)
    assert steps[-1].saved == pytest.approx(3 / 101, abs=1e-5)
    assert size == 3
    assert chosen(0.02)[0] == 4
