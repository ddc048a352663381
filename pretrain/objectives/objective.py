"""What training needs of an objective: how it makes a batch of packed rows, and its losses on one."""

# B rows of a batch, T tokens of a row, S the parts of a random stream, K reported quantities

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

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
Collator = Callable[..., Batch]
"""Makes a batch from the tensors of some rows and a random stream (S,); runs in tf.data or eagerly.

The rows' tensors are `ids_BT` and `segments_BT`, and `texts_BM` and `targets_BM` of `RowTargets` where rows have them.
"""


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
    """Names of the reported quantities; the first are 'loss' and 'accuracy'."""
    weights: Mapping[str, tf.Variable]
    """Weights of its own, by name: trained beside the encoder's at `head_learning_rate`, saved with the training state,
    not exported."""
    ignored: tuple[str, ...]
    """Prefixes of the encoder's weights that its losses do not depend on."""
    masks_tokens: bool
    """Whether its loss is the cross entropy of masked tokens, which bits per byte are computed from."""

    def losses(self, batch: Any) -> Losses:
        """The losses of some rows of a batch."""


@runtime_checkable
class BatchObjective(Objective, Protocol):
    """An objective whose losses compare the vectors of all texts of a batch, whichever slices the batch is cut into.

    Its losses on slices do not add up: `losses` takes its rows for the whole batch. It has no weights of its own.
    """

    def vectors(self, batch: Any) -> tf.Tensor:
        """Vectors of the texts of some rows, (B, ...) float32; each row's depend on that row only."""

    def losses_of_vectors(self, vectors: tf.Tensor) -> Losses:
        """The losses of the batch whose rows have these vectors."""


@runtime_checkable
class ScheduledObjective(Objective, Protocol):
    """An objective whose total changes along a run; what it reports does not."""

    def at_step(self, step: tf.Tensor, total_steps: int) -> Objective:
        """The objective of step number `step`, from 0, of a run of `total_steps`; its weights are the same."""


def trained_weights(encoder_weights: Mapping[str, tf.Variable], objective: Objective) -> dict[str, tf.Variable]:
    """What an objective trains: the encoder's weights that its losses depend on, then its own."""
    own = {name: variable for name, variable in encoder_weights.items() if not name.startswith(objective.ignored)}
    return {**own, **objective.weights}


def cut_rows(batch: BatchKind, count: int) -> BatchKind:
    """The batch's rows in `count` equal slices: each tensor (count, B / count, ...)."""
    num_rows = batch.ids_BT.shape[0]
    return map_tensors(lambda tensor: tf.reshape(tensor, (count, num_rows // count, *tensor.shape[1:])), batch)


def map_tensors(function: Callable[[tf.Tensor], tf.Tensor], batch: BatchKind) -> BatchKind:
    """A batch of the same kind, of `function` of each tensor."""
    kind: Any = type(batch)
    mapped: BatchKind = kind(*map(function, batch))
    return mapped
