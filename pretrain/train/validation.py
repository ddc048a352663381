"""Validation losses of a run: an objective's quantities on the same rows each time."""

import math

import numpy as np

from pretrain.config import PretrainConfig
from pretrain.objectives.objective import Collator, Objective
from pretrain.train.batches import validation_batches
from pretrain.train.replicas import Replicas
from pretrain.train.step import compile_evaluation
from tokenizer.encoding.packed_rows import PackedRows


class Validation:
    """Evaluates an objective on validation rows."""

    def __init__(
        self, objective: Objective, rows: PackedRows, collator: Collator, config: PretrainConfig, replicas: Replicas
    ) -> None:
        self._objective, self._tokens_per_byte = objective, rows.tokens_per_byte
        self._batches = validation_batches(rows, collator, config.batch_rows, config.validation_rows)
        self._sum_losses = compile_evaluation(objective, replicas, config.micro_batch_rows)

    @property
    def masks_tokens(self) -> bool:
        """Whether the objective does."""
        return self._objective.masks_tokens

    def run(self) -> dict[str, float]:
        """Means of the objective's quantities, by name; with bits per byte where it masks tokens."""
        sums = np.sum([self._sum_losses(batch) for batch in self._batches], axis=0)
        means = dict(zip(self._objective.metrics, (float(each) for each in sums[:-1] / sums[-1]), strict=True))
        found = {"loss": means.pop("loss"), "accuracy": means.pop("accuracy")}
        if self._objective.masks_tokens:
            found["bits_per_byte"] = found["loss"] / math.log(2) * self._tokens_per_byte
        return found | means
