"""How long a training step takes here."""

import statistics
import time
from functools import partial

from pretrain.batches import TrainingBatches
from pretrain.config import PretrainConfig
from pretrain.encoder import Encoder
from pretrain.replicas import Replicas
from pretrain.step import MlmStep

WARM_UP_STEPS = 2  # tracing, and XLA's compilations
TIMED_STEPS = 8


def step_seconds(encoder: Encoder, config: PretrainConfig, replicas: Replicas, batches: TrainingBatches) -> float:
    """Median seconds of a step, batch preparation included; the encoder's weights are changed by it."""
    total = WARM_UP_STEPS + TIMED_STEPS
    with replicas.scope():
        step = MlmStep(encoder, config, total, replicas=replicas)
    stream = replicas.distributed(partial(batches.dataset, 0, total))
    seconds = []
    for number in range(total):
        start = time.perf_counter()
        step.train(next(stream), number)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[WARM_UP_STEPS:])
