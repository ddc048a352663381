"""The program of a training step on one chip of a TPU slice, for the TPU's compiler."""

# B rows of a chip

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.measure.bench_models import MASK_ID, SPECIAL_IDS, Model
from pretrain.measure.config import PreflightConfig
from pretrain.model.encoder import Encoder
from pretrain.objectives.causal_lm import CausalBatch, CausalLM
from pretrain.objectives.distillation import Distillation, DistillBatch
from pretrain.objectives.masked_lm import MaskedBatch, MaskedLM, Masker
from pretrain.objectives.objective import Batch, Objective, trained_weights
from pretrain.objectives.pair_contrast import PairBatch, PairContrast
from pretrain.objectives.tag_prediction import TargetBatch
from pretrain.objectives.word_prediction import WordPrediction
from pretrain.train.replicas import Replicas
from pretrain.train.step import TrainStep
from pretrain.train.timing import SCHEDULE_STEPS
from stackbert.core.errors import StackbertError

UNSUPPORTED = re.compile(r"(\w+) \(No registered '\w+' OpKernel")


class _Chip(Replicas):
    """One chip of a slice, alone: what it would gather from the others are copies of its own."""

    def __init__(self, chips: int) -> None:
        super().__init__()
        self._chips = chips

    def gather(self, tensor: tf.Tensor) -> tf.Tensor:
        return tf.tile(tensor, (self._chips, *(1 for _ in tensor.shape[1:])))

    def own(self, tensor: tf.Tensor) -> tf.Tensor:
        return tensor[: tensor.shape[0] // self._chips]


def step_program(config: PreflightConfig, rows: int, model: Model, chips: int = 1) -> tuple[str, int]:
    """StableHLO of the whole training step on `rows` rows, in bfloat16, and the number of parameters it trains.

    The chips of a slice each run it on as many rows; their exchange of gradients and vectors is not in it.
    """
    architecture, weights = model
    training = PretrainConfig(mask_rate=config.mask_rate, micro_batch_rows=config.micro_batch_rows)
    with tf.device("CPU:0"):
        encoder = Encoder(architecture, weights, tf.bfloat16)
        objective, batch = _objective(config, rows, model, encoder)
        variables = list(trained_weights(encoder.weights, objective).values())
        step = TrainStep(objective, variables, SCHEDULE_STEPS, training, _Chip(chips))
    kind: Any = type(batch)
    program = stablehlo(lambda *tensors: step.update(kind(*tensors), tf.constant(0.0)), tuple(batch))
    return program, sum(int(variable.shape.num_elements()) for variable in variables)


def _objective(config: PreflightConfig, rows: int, model: Model, encoder: Encoder) -> tuple[Objective, Batch]:
    """The configured objective, and its batch as specifications of tensors."""
    ids = tf.TensorSpec((rows, config.row_length), tf.int32)
    if config.pairs_per_row:
        contrast = PairContrast(encoder, config.pairs_per_row, "mean", PretrainConfig.temperature)
        return contrast, PairBatch(ids, ids)
    if config.causal:
        return CausalLM(encoder), CausalBatch(ids, ids, tf.TensorSpec(ids.shape, tf.float32))
    if config.words_per_row:
        pairs, shares = (tf.TensorSpec((rows, config.words_per_row), dtype) for dtype in (tf.int32, tf.float32))
        bias_V = np.zeros(model[0].vocab_size, np.float32)
        words = WordPrediction(encoder, config.titles_per_row, "mean", bias_V)
        return words, TargetBatch(ids, ids, pairs, pairs, shares)
    architecture, weights = model
    num_slots = Masker(architecture.vocab_size, SPECIAL_IDS, MASK_ID, config.mask_rate).num_slots(config.row_length)
    positions, weights_spec = (tf.TensorSpec((rows, num_slots), dtype) for dtype in (tf.int32, tf.float32))
    masked = MaskedBatch(ids, ids, positions, positions, weights_spec)
    if not config.teacher_row_length:
        return MaskedLM(encoder), masked
    teacher_ids = tf.TensorSpec((rows, config.teacher_row_length), tf.int32)
    teacher = Encoder(architecture, weights, tf.bfloat16)
    return Distillation(encoder, teacher, weight=1.0), DistillBatch(*masked, teacher_ids, teacher_ids)


def stablehlo(function: Callable[..., tf.Tensor], specs: Sequence[tf.TensorSpec]) -> str:
    """StableHLO of `function`; raises StackbertError naming the ops that XLA does not support."""
    compiled = tf.function(function, jit_compile=True, autograph=False)
    try:
        program: str = compiled.experimental_get_compiler_ir(*specs)(stage="stablehlo")
    except (ValueError, tf.errors.OpError) as error:
        names = sorted(set(UNSUPPORTED.findall(str(error))))
        if not names:
            raise
        raise StackbertError(f"the step has ops that run on the host only: {', '.join(names)}") from None
    return program
