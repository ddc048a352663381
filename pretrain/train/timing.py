"""How long a training step takes here."""

import statistics
import time
from functools import partial

from pretrain.config import PretrainConfig
from pretrain.model.encoder import Encoder
from pretrain.train.batches import TrainingBatches
from pretrain.train.replicas import Replicas
from pretrain.train.step import MlmStep

WARM_UP_CALLS = 2  # tracing, and XLA's compilations
TIMED_CALLS = 8


def step_seconds(
    encoder: Encoder, config: PretrainConfig, replicas: Replicas, batches: TrainingBatches, base: Encoder | None = None
) -> float:
    """Median seconds of a step, batch preparation included; the encoder's weights are changed by it."""
    at_once = replicas.steps_per_execution(config.steps_per_execution)
    total = at_once * (WARM_UP_CALLS + TIMED_CALLS)
    with replicas.scope():
        step = MlmStep(encoder, config, total, replicas=replicas, base=base)
    stream = replicas.distributed(partial(batches.dataset, 0, total))
    seconds = []
    for first in range(0, total, at_once):
        start = time.perf_counter()
        step.take(stream, first, at_once)
        seconds.append((time.perf_counter() - start) / at_once)
    return statistics.median(seconds[WARM_UP_CALLS:])
