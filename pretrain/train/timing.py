"""How long a training step takes on this machine."""

import statistics
import time
from functools import partial

from pretrain.config import PretrainConfig
from pretrain.model.encoder import Encoder
from pretrain.objectives.objective import Objective, trained_weights
from pretrain.train.batches import TrainingBatches
from pretrain.train.replicas import Replicas
from pretrain.train.step import TrainStep, compile_step

WARM_UP_EXECUTIONS = 2  # tracing, and XLA's compilations
TIMED_EXECUTIONS = 8
SCHEDULE_STEPS = 10_000  # of a step that is only timed: the learning rate does not change its duration


def step_seconds(
    encoder: Encoder, objective: Objective, config: PretrainConfig, replicas: Replicas, batches: TrainingBatches
) -> float:
    """Median seconds of a step, batch preparation included; changes the encoder's and the objective's weights."""
    with replicas.scope():
        variables = list(trained_weights(encoder.weights, objective).values())
        step = TrainStep(objective, variables, SCHEDULE_STEPS, config, replicas)
    execute = compile_step(step, replicas, config.steps_per_execution)
    count = execute.steps_per_execution
    stream = replicas.distribute(partial(batches.dataset, 0, count * (WARM_UP_EXECUTIONS + TIMED_EXECUTIONS)))
    seconds = []
    for _ in range(WARM_UP_EXECUTIONS + TIMED_EXECUTIONS):
        start = time.perf_counter()
        execute(stream, count)
        seconds.append((time.perf_counter() - start) / count)
    return statistics.median(seconds[WARM_UP_EXECUTIONS:])
