"""Cuts a stream into batches, bounded in number and size."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def batches(items: Iterable[Item], size_of: Callable[[Item], int], most: int, most_size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of at most `most`; a list ends once its sizes add up to `most_size`.

    >>> list(batches(["a", "b", "long", "c", "d", "e"], len, 3, 5))
    [['a', 'b', 'long'], ['c', 'd', 'e']]
    >>> list(batches(["long", "b", "c"], len, 3, 4))
    [['long'], ['b', 'c']]
    """
    batch, size = list[Item](), 0
    for item in items:
        batch.append(item)
        size += size_of(item)
        if len(batch) == most or size >= most_size:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
