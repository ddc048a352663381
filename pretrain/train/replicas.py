"""The devices that share a run's batches: one, several of this machine, a TPU slice, or several machines."""

# B rows of a global batch, R replicas

import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import tensorflow as tf

from pretrain.config import Device
from stackbert.core.errors import StackbertError, require

WORKERS_VARIABLE = "TF_CONFIG"  # TensorFlow's own: this process's place among several
TPU_VARIABLES = ("TPU_NAME", "TPU_WORKER_HOSTNAMES", "COLAB_TPU_ADDR")
TPU_FILES = ("/dev/accel0", "/dev/vfio/0")
STEPS_AT_ONCE = 50  # on accelerators, whose steps are short beside what a call costs

GONE = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)
"""Errors of a device or worker that no longer answers."""


class Replicas:
    """Copies of the model that each take a part of every batch, and update alike.

    Part n of a batch is its n-th B / R rows, whichever device or machine computes it, so the batches of a run do not
    depend on how many there are.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None, on_gpu: bool | None = None):
        self._on_gpu = bool(tf.config.list_physical_devices("GPU")) if on_gpu is None else on_gpu
        self._is_default = strategy is None
        self.strategy = strategy or tf.distribute.get_strategy()
        self.count: int = self.strategy.num_replicas_in_sync
        resolver = self.strategy.cluster_resolver
        is_worker = isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy)
        task = (resolver.task_type, resolver.task_id) if is_worker and resolver else (None, None)
        self.is_chief = task in ((None, None), ("chief", 0)) or (task == ("worker", 0) and not _has_chief(resolver))
        self.workers = len(_workers()) if is_worker else 1
        self._share_value: Callable[[], Any] | None = None
        self.is_tpu = isinstance(self.strategy, tf.distribute.TPUStrategy)

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of this process's devices that share a batch."""
        if self._is_default:
            return (tf.config.list_logical_devices("GPU" if self._on_gpu else "CPU")[0].name,)
        return tuple(self.strategy.extended.worker_devices)

    @property
    def compiles_accelerated(self) -> bool:
        """Whether steps are compiled whole: on accelerators, where XLA's products are the quick ones."""
        return self.is_tpu or self._on_gpu

    @property
    def compiles_step(self) -> bool:
        """Whether the step's function must be asked for that: a TPU does it by itself."""
        return self.count == 1 and self.compiles_accelerated and not self.is_tpu

    @property
    def is_pod(self) -> bool:
        """Whether this process leads TPUs of other machines, which cannot call back into it."""
        return self.is_tpu and self.strategy.extended.num_hosts > 1

    @property
    def feeds_batches(self) -> bool:
        """Whether each batch is made here and then sent to the devices, one step a call."""
        return self.is_pod

    def steps_per_execution(self, asked: int) -> int:
        """Steps in one call of the devices; `asked` 0: many on accelerators."""
        if self.feeds_batches:
            return 1
        return asked or (STEPS_AT_ONCE if self.compiles_accelerated else 1)

    def scope(self) -> AbstractContextManager[Any]:
        """Within, variables are made for every replica."""
        return self.strategy.scope()

    def check(self, batch_rows: int) -> None:
        """Raise StackbertError where a batch cannot be cut into equal parts."""
        require(
            batch_rows % self.count == 0,
            f"batch_rows {batch_rows}: must be a multiple of the {self.count} devices that share a batch",
        )

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`function`'s result on every replica, which must be the same on all of them; arguments may differ."""
        return self.strategy.experimental_local_results(self.strategy.run(function, arguments))[0]

    def sum(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Sums over all replicas of dense tensors; called on a replica."""
        if self.count == 1:
            return list(tensors)
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, list(tensors))

    def parts(self, batch: Any) -> Any:
        """A whole batch, a NamedTuple of tensors (B, ...), cut for the replicas."""
        if self.count == 1:
            return batch

        def part(context: Any) -> Any:
            def own(tensor: tf.Tensor) -> tf.Tensor:
                rows = tensor.shape[0] // self.count
                first = context.replica_id_in_sync_group * rows
                return tensor[first : first + rows]

            return type(batch)(*map(own, batch))

        return self.strategy.experimental_distribute_values_from_function(part)

    def distributed(self, dataset_of: Callable[[int, range], tf.data.Dataset]) -> Any:
        """Batches for the replicas, from `dataset_of(number of parts, own parts)`, which gives own parts in turn."""

        if self.feeds_batches:
            return self._fed(iter(dataset_of(self.count, range(self.count))))

        def dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
            own = self.count // context.num_input_pipelines
            first = context.input_pipeline_id * own
            return dataset_of(self.count, range(first, first + own))

        return iter(self.strategy.distribute_datasets_from_function(dataset))

    def _fed(self, parts: Iterator[Any]) -> Iterator[Any]:
        for first in parts:
            own = [first, *itertools.islice(parts, self.count - 1)]
            yield self.strategy.experimental_distribute_values_from_function(
                lambda context, own=own: own[context.replica_id_in_sync_group]
            )

    def take_over(self, variables: Sequence[tf.Variable]) -> None:
        """Give every worker the chief's values: what it restored, others need not read."""
        if self.workers > 1:
            self._sharing(variables)()

    def agree(self, value: int) -> int:
        """The chief's `value`."""
        if self.workers == 1:
            return value
        if self._share_value is None:
            with self.scope():
                self._value = tf.Variable(value, dtype=tf.int64)
            self._share_value = self._sharing([self._value])
        self._value.assign(value)
        self._share_value()
        return int(self._value.numpy())

    def wait(self) -> None:
        """Return when every worker has come here; raises StackbertError where one is gone."""
        if self.workers == 1:
            return
        try:
            tf.function(lambda: self.run(lambda: self.sum([tf.constant(1.0)])[0]), autograph=False)()
        except GONE as error:
            raise StackbertError(said_gone(error)) from None

    def _sharing(self, variables: Sequence[tf.Variable]) -> Callable[[], Any]:
        """A function that gives every replica the first one's values."""

        def share() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            is_first = context.replica_id_in_sync_group == 0
            own = [variable.read_value() for variable in variables]
            values = [self.sum([tf.where(is_first, value, tf.zeros_like(value))])[0] for value in own]
            context.merge_call(_assign_all, (list(variables), values))
            return tf.constant(0)

        shared: Callable[[], Any] = tf.function(lambda: self.run(share), autograph=False)
        return shared


def find_replicas(device: Device) -> Replicas:
    """The devices to train on. 'auto': several machines where TF_CONFIG names them, else a TPU, else GPUs, else here.

    To be called before any other use of TensorFlow in the process where there are several machines. Raises
    StackbertError where the named device is not there.
    """
    if len(_workers()) > 1:
        require(device == "auto", f"device {device}: {WORKERS_VARIABLE} names several machines, for device auto")
        return Replicas(_multi_worker())
    if device == "tpu" or (device == "auto" and _has_tpu()):
        return Replicas(_tpu())
    kinds = {"cpu": ("CPU",), "gpu": ("GPU",)}.get(device, ("GPU", "CPU"))
    devices: list[Any] = next((found for kind in kinds if (found := tf.config.list_logical_devices(kind))), [])
    require(bool(devices), f"device {device}: there is none here; 'stackbert doctor' shows what there is")
    names, on_gpu = [device.name for device in devices], devices[0].device_type == "GPU"
    if len(names) > 1:
        return Replicas(tf.distribute.MirroredStrategy(names), on_gpu)
    return Replicas(None if device == "auto" else tf.distribute.OneDeviceStrategy(names[0]), on_gpu)


def said_gone(error: tf.errors.OpError) -> str:
    """What happened, by one of GONE, and what to do."""
    return (
        f"a device or another worker is gone ({error.message.splitlines()[0][:200]}); start the same command on all "
        "machines again, and it goes on from the last saved state"
    )


def _workers() -> list[str]:
    cluster = json.loads(os.environ.get(WORKERS_VARIABLE) or "{}").get("cluster", {})
    return [address for kind in ("chief", "worker") for address in cluster.get(kind, [])]


def _multi_worker() -> tf.distribute.Strategy:
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise StackbertError(f"{WORKERS_VARIABLE}: the workers {_workers()} cannot be joined: {error}") from None


def _has_chief(resolver: Any) -> bool:
    return "chief" in resolver.cluster_spec().jobs


def _has_tpu() -> bool:
    return any(os.environ.get(name) for name in TPU_VARIABLES) or any(Path(name).exists() for name in TPU_FILES)


def _tpu() -> tf.distribute.Strategy:
    name = os.environ.get("TPU_NAME", "local")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        if name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise StackbertError(
            f"TPU '{name}' cannot be used: {error}. Install stackbert[tpu] on the TPU's machine, and name the TPU in "
            "TPU_NAME, or choose another --device"
        ) from None


def _assign_all(strategy: tf.distribute.Strategy, variables: Sequence[tf.Variable], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        strategy.extended.update(variable, lambda target, new: target.assign(new), (value,))
