"""Results are in order for any number of processes."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from stackbert.core.errors import StackbertError
from stackbert.core.workers import map_in_order, run_apart


def square(number: int) -> int:
    return number * number


def mark_prepared() -> None:
    os.environ["PREPARED"] = "1"


def is_prepared() -> bool:
    return "PREPARED" in os.environ


def die(number: int) -> int:
    os._exit(1)


@pytest.mark.parametrize("processes", [1, 2])
def test_order_is_kept(processes: int) -> None:
    assert list(map_in_order(square, range(40), processes)) == [number * number for number in range(40)]


def test_items_are_consumed_lazily() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    results = map_in_order(square, items(), 2)
    assert next(results) == 0
    assert len(taken) < 50
    results.close()  # type: ignore[attr-defined]


def test_a_killed_process_is_an_error_with_advice() -> None:
    with pytest.raises(StackbertError, match="worker process was killed"):
        list(map_in_order(die, range(40), 2))


def test_a_process_killed_while_others_start_is_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def submit(*_: object) -> None:
        raise ValueError("bad value(s) in fds_to_keep")

    monkeypatch.setattr(ProcessPoolExecutor, "submit", submit)
    with pytest.raises(StackbertError, match="worker process was killed"):
        list(map_in_order(square, range(40), 2))


def test_a_process_apart_is_prepared_first() -> None:
    assert run_apart(is_prepared, prepare=mark_prepared)
    assert not run_apart(is_prepared)
    assert not is_prepared()
