"""Evaluations along a run: validation losses on the same rows each time, and the probe of a labelled set."""

# S texts of a row, P width of a vector

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from pretrain.config import PretrainConfig, TextPooling
from pretrain.model.encoder import Encoder
from pretrain.objectives.objective import Collator, Objective
from pretrain.objectives.text_vectors import pooled_vectors
from pretrain.probe.probe import Probe, ProbeBatch, VectorsOf
from pretrain.train.batches import validation_batches
from pretrain.train.best_weights import BestWeights
from pretrain.train.replicas import Replicas
from pretrain.train.step import compile_evaluation
from stackbert.core.artifact import write_json
from stackbert.core.errors import StackbertError
from tokenizer.encoding.packed_rows import PackedRows

DEV_F1 = "dev_weighted_f1"
F1_SCALE = 10**6
"""Workers agree on integers: F1 is rounded to six digits."""
History = list[dict[str, float]]


class TrainingError(StackbertError):
    """The loss diverged, or a device no longer answers."""


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


class Evaluations:
    """Evaluates a run along its way and records it in `history`; with stop_by 'probe' keeps the best weights.

    The history, and the tracked variables, are all that a resumed run needs. Make it in the scope of the replicas.
    Without a folder, as on workers other than the chief, nothing is written.
    """

    def __init__(
        self,
        config: PretrainConfig,
        replicas: Replicas,
        validation: Validation,
        encoder: Encoder,
        probe: Probe | None,
        history: History,
        folder: Path | None,
    ) -> None:
        self._replicas, self._validation, self._probe = replicas, validation, probe
        self._history, self._folder, self._patience = history, folder, config.probe_patience
        if probe:
            self._vectors_of = _compile_vectors(encoder, replicas, probe.max_texts, config.tag_pooling)
        chooses = probe is not None and config.stop_by == "probe"
        self._best = BestWeights(list(encoder.weights.values())) if chooses else None

    @property
    def masks_tokens(self) -> bool:
        """Whether the run's objective does."""
        return self._validation.masks_tokens

    @property
    def tracked(self) -> dict[str, tf.Module]:
        """What a training state holds of them, by name."""
        return {"best_weights": self._best} if self._best else {}

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """The variables of what is tracked."""
        return self._best.values if self._best else ()

    @property
    def exported(self) -> dict[str, float]:
        """The evaluation whose weights are exported: the best on dev, the first of equals; else the last."""
        return max(self._history, key=lambda point: point[DEV_F1]) if self._best else self._history[-1]

    def is_over(self) -> bool:
        """Whether the patience is used up; all workers call it together."""
        if not self._best or not self._patience:
            return False
        later = [point for point in self._history if point["step"] > self.exported["step"]]
        return bool(self._replicas.agree(len(later) >= self._patience))

    def run(self, step: int, tokens: int) -> None:
        """Evaluate, print, log and record; all workers call it together.

        Raises TrainingError where the loss is not finite.
        """
        found = self._validation.run()
        if not math.isfinite(found["loss"]):
            raise TrainingError(
                f"validation at step {step}: loss {found['loss']}, and the same command would fail at the same step. "
                "Start another run in another folder, with a lower learning_rate or precision float32"
            )
        if self._probe:
            found[DEV_F1] = self._score(self._probe)
        self._history.append({"step": step, "tokens": tokens, **found})
        if self._best and self._replicas.agree(int(self.exported["step"])) == step:
            self._best.keep()
        for name, value in found.items():
            tf.summary.scalar(f"validation_{name}", value, step)
        if self._folder:
            write_json(self._folder / "history.json", self._history)
            print(f"validation at step {step:,}: {self._in_words(found)}")

    def restore_best(self) -> None:
        """With stop_by 'probe', give the encoder the best weights."""
        if self._best:
            self._best.restore()

    def outcome(self, total_steps: int) -> list[str]:
        """Which weights are exported and why the run ended, with stop_by 'probe'."""
        if not self._best:
            return []
        best, last = self.exported, int(self._history[-1]["step"])
        why = "the end of its budget"
        if last < total_steps:
            why = f"of {total_steps:,}, after {self._patience} evaluations without a better one"
        return [
            f"weights of step {int(best['step']):,}, whose weighted F1 on dev {best[DEV_F1]:.4f} is the best of "
            f"{len(self._history)} evaluations (step 0: {self._history[0][DEV_F1]:.4f}); the run ended at step "
            f"{last:,}, {why}"
        ]

    def _score(self, probe: Probe) -> float:
        """The probe's F1, the chief's on every worker."""
        return self._replicas.agree(round(probe.score(self._vectors_of) * F1_SCALE)) / F1_SCALE

    def _in_words(self, found: dict[str, float]) -> str:
        words = [f"{name.replace('_', ' ')} {value:.3f}" for name, value in found.items() if name != DEV_F1]
        if DEV_F1 in found:
            before = "" if len(self._history) == 1 else f" (step 0: {self._history[0][DEV_F1]:.4f})"
            words.append(f"probe's weighted F1 on dev {found[DEV_F1]:.4f}{before}")
        return ", ".join(words)


def _compile_vectors(encoder: Encoder, replicas: Replicas, max_texts: int, pooling: TextPooling) -> VectorsOf:
    """The function that computes the vectors (B, S, P) of a batch's texts, shared by the replicas."""

    def vectors(own: ProbeBatch) -> tf.Tensor:
        hidden_BTH = encoder.hidden(own.ids_BT, own.segments_BT)
        return replicas.gather(pooled_vectors(hidden_BTH, own.segments_BT, max_texts, pooling))

    run = tf.function(lambda batch: replicas.run(vectors, batch), jit_compile=replicas.compiles_step, autograph=False)
    return lambda batch: run(replicas.cut(ProbeBatch(*map(tf.constant, batch)))).numpy()


def spread(count: int, total: int) -> set[int]:
    """`count` steps evenly spread before the last.

    >>> sorted(spread(3, 100))
    [25, 50, 75]
    """
    return {round(total * number / (count + 1)) for number in range(1, count + 1)} - {0, total}
