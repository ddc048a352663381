"""What training needs of an objective: how it makes a batch of packed rows, and its losses on one."""

# B rows of a batch, T tokens of a row, S the parts of a random stream, K reported quantities

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

import tensorflow as tf


class Batch(Protocol):
    """Packed rows and what an objective adds to them: a NamedTuple of tensors of static shape, each (B, ...)."""

    @property
    def ids_BT(self) -> tf.Tensor: ...
    @property
    def segments_BT(self) -> tf.Tensor:
        """Number of each token's text in its row, from 1; 0 is padding."""

    def __iter__(self) -> Iterator[tf.Tensor]: ...


BatchKind = TypeVar("BatchKind", bound=Batch)
Collator = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Batch]
"""Makes a batch from `ids_BT`, `segments_BT` and a random stream (S,); runs in tf.data or eagerly."""


class Losses(NamedTuple):
    """Sums over the predictions in some rows, float32; the sums of a batch's slices add up to the batch's."""

    total: tf.Tensor
    """What training minimizes, ()."""
    reported_K: tf.Tensor
    """Sums of the quantities that `Objective.metrics` names."""
    count: tf.Tensor
    """Number of predictions, by which the gradients and the reported sums are divided, ()."""


class Objective(Protocol):
    """A training objective. Its module also holds the collator that makes its batches."""

    metrics: tuple[str, ...]
    """Names of the reported quantities; the first is 'loss'."""

    def losses(self, batch: Any) -> Losses:
        """The losses of some rows of a batch."""


def map_tensors(function: Callable[[tf.Tensor], tf.Tensor], batch: BatchKind) -> BatchKind:
    """A batch of the same kind, of `function` of each tensor."""
    kind: Any = type(batch)
    mapped: BatchKind = kind(*map(function, batch))
    return mapped
