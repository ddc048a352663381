"""Compiles the fine-tuning step and the feature pass for a TPU slice without the TPU."""

from dataclasses import dataclass, replace
from typing import cast

import tensorflow as tf

from finetune.classifier.classifier import ROWS_PER_BATCH, Classifier, batch_spec
from finetune.config import FinetunePreflightConfig
from finetune.train.batches import LabelledBatch
from finetune.train.step import FinetuneStep
from pretrain.measure.bench_models import named_model
from pretrain.measure.config import PreflightConfig
from pretrain.measure.preflight import (
    Preflight,
    check_compiler,
    check_slice,
    chip_count,
    compile_program,
    largest_batch,
)
from pretrain.measure.step_program import stablehlo
from pretrain.model.checkpoint import Checkpoint
from pretrain.model.text_batches import TextBatch, rounded_rows, slots_in_row
from pretrain.train.replicas import HOST, Replicas
from tokenizer.encoding.reader import TextReader

NOT_TEXTS = 3  # arguments of a step after its batch: learning rate, positive weights, request to stop


@dataclass(frozen=True)
class FinetunePreflight:
    """The compiled step of phase 2, and the pass that computes features and probabilities."""

    step: Preflight
    encoding: Preflight
    texts_per_row: int

    @property
    def training_texts_per_second(self) -> float:
        """Of the slice at the roofline, an upper bound."""
        return self.step.batch_rows * self.texts_per_row / self.step.step_seconds

    @property
    def encoded_texts_per_second(self) -> float:
        """Of the slice at the roofline, an upper bound."""
        return self.encoding.batch_rows * self.texts_per_row / self.encoding.step_seconds

    def __str__(self) -> str:
        rates = self.training_texts_per_second, self.encoded_texts_per_second
        titles = "training step of the whole model", "features and probabilities"
        parts = []
        for title, part, rate in zip(titles, (self.step, self.encoding), rates, strict=True):
            speed = f"\n{rate:,.0f} texts/s at the roofline, {self.texts_per_row} in a row" if part.fits else ""
            parts.append(f"{title}\n{part}{speed}")
        return "\n\n".join(parts)


def preflight(config: FinetunePreflightConfig, checkpoint: Checkpoint | None = None) -> FinetunePreflight:
    """Compile both programs of `checkpoint`, by default of the model that `config` names, for `config.topology`.

    Raises StackbertError where the topology is unknown, the compiler is missing, or a TPU does not support a step.
    """
    request, programs = _prepared(config, checkpoint)
    return FinetunePreflight(programs.step(request), programs.encoding(request), programs.texts_per_row)


def largest_step(config: FinetunePreflightConfig, first: Preflight) -> Preflight:
    """The step with most rows that fits, as `pretrain preflight --find-batch` finds it; compiles it several times."""
    request, programs = _prepared(config, None)
    return largest_batch(request, first, programs.step)


def _prepared(config: FinetunePreflightConfig, checkpoint: Checkpoint | None) -> tuple[PreflightConfig, "_Programs"]:
    check_slice(config.topology, config.recipe.batch_size, "batch_size")
    check_compiler(config.compiler_python)
    programs = _Programs(config, checkpoint)
    chips = chip_count(config.topology)
    rows = rounded_rows(-(-config.recipe.batch_size // chips // programs.texts_per_row))
    request = PreflightConfig(
        topology=config.topology,
        compiler_python=config.compiler_python,
        row_length=config.recipe.max_length,
        batch_rows=rows * chips,
    )
    return request, programs


class _Programs:
    """A classifier in bfloat16, whose step and feature pass are compiled for one chip of a slice."""

    def __init__(self, config: FinetunePreflightConfig, checkpoint: Checkpoint | None) -> None:
        recipe = replace(config.recipe, precision="bfloat16")
        if checkpoint is None:
            model = PreflightConfig(model=config.model, vocab_size=config.vocab_size, row_length=recipe.max_length)
            architecture, weights = named_model(model)
            checkpoint = Checkpoint(architecture, {}, weights, has_mlm_head=False)
        # texts of equal length leave more of a row empty than those of a run
        fitting = recipe.max_length // min(config.text_tokens, recipe.max_length)
        self.texts_per_row = min(slots_in_row(recipe.max_length), fitting)
        self._length = recipe.max_length
        with tf.device(HOST):
            reader = cast(TextReader, None)  # no text is read
            self._classifier = Classifier(checkpoint, reader, config.num_labels, recipe, Replicas())
            self._step = FinetuneStep(self._classifier)

    def step(self, request: PreflightConfig) -> Preflight:
        """The training step on the request's rows, full of texts."""
        rows = request.batch_rows // chip_count(request.topology)
        batch, *others = self._step.specs(rows, rows * self.texts_per_row)
        program = stablehlo(
            lambda *tensors: self._step.update(LabelledBatch(*tensors[:-NOT_TEXTS]), *tensors[-NOT_TEXTS:]),
            [*batch, *others],
        )
        weights = sum(int(variable.shape.num_elements()) for variable in self._step.variables)
        return compile_program(program, weights, request)

    def encoding(self, request: PreflightConfig) -> Preflight:
        """The feature pass; its chips exchange no gradients."""
        spec = batch_spec(ROWS_PER_BATCH, self._length, ROWS_PER_BATCH * slots_in_row(self._length))
        program = stablehlo(lambda *tensors: self._classifier.pooled(TextBatch(*tensors)), spec)
        rows = ROWS_PER_BATCH * chip_count(request.topology)
        return compile_program(program, 0, replace(request, batch_rows=rows))
