"""The devices that share a run's batches: one, several of this machine, a TPU slice, or several machines."""

# B rows of a global batch, R replicas

import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import tensorflow as tf

from pretrain.config import Device
from pretrain.objectives.objective import Batch, map_tensors
from stackbert.core.errors import StackbertError, require

WORKERS_VARIABLE = "TF_CONFIG"  # TensorFlow's own: the cluster, and this process's index in it
TPU_VARIABLES = ("TPU_NAME", "TPU_WORKER_HOSTNAMES", "COLAB_TPU_ADDR")
TPU_FILES = ("/dev/accel0", "/dev/vfio/0")

HOST = "CPU:0"
"""The device of this process for what is too small to be shared."""
Values = TypeVar("Values")

GONE = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)
"""Errors of a device or worker that no longer answers."""


class Replicas:
    """Copies of the model that each take a slice of every batch and make the same updates.

    Slice n of a batch is its n-th B / R rows on any device or machine, so that batches do not depend on the number of
    replicas.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None, on_gpu: bool | None = None):
        has_gpu = bool(tf.config.list_physical_devices("GPU")) if on_gpu is None else on_gpu
        self._is_default = strategy is None
        self.strategy = strategy or tf.distribute.get_strategy()
        self.count: int = self.strategy.num_replicas_in_sync
        resolver = self.strategy.cluster_resolver
        is_worker = isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy)
        task = (resolver.task_type, resolver.task_id) if is_worker and resolver else (None, None)
        self.is_chief = task in ((None, None), ("chief", 0)) or (task == ("worker", 0) and not _has_chief(resolver))
        self.workers = len(_workers()) if is_worker else 1
        self._broadcast_value: Callable[[], Any] | None = None
        self.is_tpu = isinstance(self.strategy, tf.distribute.TPUStrategy)
        self.on_gpu = has_gpu and not self.is_tpu

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of this process's devices that share a batch."""
        if self._is_default:
            return (tf.config.list_logical_devices("GPU" if self.on_gpu else "CPU")[0].name,)
        return tuple(self.strategy.extended.worker_devices)

    @property
    def accelerated(self) -> bool:
        """Whether the devices are GPUs or TPUs."""
        return self.is_tpu or self.on_gpu

    @property
    def is_pod(self) -> bool:
        """Whether this process drives TPUs of other machines, which cannot call Python functions in it."""
        return self.is_tpu and self.strategy.extended.num_hosts > 1

    @property
    def feeds_batches(self) -> bool:
        """Whether batches are made here and then sent to the devices, one step an execution."""
        return self.is_pod

    def scope(self) -> AbstractContextManager[Any]:
        """A context in which variables are created on every replica."""
        scope: AbstractContextManager[Any] = self.strategy.scope()
        return scope

    @property
    def compiles_step(self) -> bool:
        """Whether XLA has to be asked for the whole step: on one GPU. TPUStrategy compiles whatever a TPU runs."""
        return self.on_gpu and self.count == 1

    @property
    def compiles_gradients(self) -> bool:
        """Whether XLA compiles each device's gradients alone: GPUs' sums cannot be part of an XLA program."""
        return self.on_gpu and self.count > 1

    def check(self, setting: str, size: int) -> None:
        """Raise StackbertError where a batch of `size`, which that setting gives, cannot be cut into equal slices."""
        require(
            size % self.count == 0,
            f"{setting} {size}: must be a multiple of the {self.count} devices that share a batch",
        )

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run `function` on every replica with its own arguments; returns the result, which must be the same on all."""
        return self.strategy.experimental_local_results(self.strategy.run(function, arguments))[0]

    def sum(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Sums of dense tensors over all replicas; called on a replica."""
        if self.count == 1:
            return list(tensors)
        sums: list[tf.Tensor] = tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.SUM, list(tensors)
        )
        return sums

    def gather(self, tensor: tf.Tensor) -> tf.Tensor:
        """The tensors of all replicas, of one static shape, joined along the first axis; called on a replica."""
        if self.count == 1:
            return tensor
        is_own = tf.range(self.count) == tf.distribute.get_replica_context().replica_id_in_sync_group
        is_own = tf.reshape(is_own, (self.count, *(1 for _ in tensor.shape)))
        placed = tf.where(is_own, tensor[None], tf.zeros_like(tensor)[None])
        return tf.reshape(self.sum([placed])[0], (-1, *tensor.shape[1:]))

    def own(self, tensor: tf.Tensor) -> tf.Tensor:
        """This replica's slice of what `gather` joined; called on a replica."""
        if self.count == 1:
            return tensor
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.reshape(tensor, (self.count, -1, *tensor.shape[1:]))[number]

    def once(self, tensor: tf.Tensor) -> tf.Tensor:
        """The tensor on the first replica, zeros on the others: their sum is the tensor; called on a replica."""
        if self.count == 1:
            return tensor
        is_first = tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)
        return tf.where(is_first, tensor, tf.zeros_like(tensor))

    def place(self, slice_of: Callable[[int], Values]) -> Values:
        """Slice n on replica n, for each replica of this process; `slice_of(n)` makes it, of tensors."""
        if self.count == 1:
            return slice_of(0)
        placed: Values = self.strategy.experimental_distribute_values_from_function(
            lambda context: slice_of(context.replica_id_in_sync_group)
        )
        return placed

    def cut(self, batch: Batch) -> Batch:
        """A whole batch as one slice for each replica."""

        def slice_of(number: int) -> Batch:
            def own(tensor: tf.Tensor) -> tf.Tensor:
                rows = tensor.shape[0] // self.count
                return tensor[number * rows : (number + 1) * rows]

            return map_tensors(own, batch)

        return self.place(slice_of) if self.count > 1 else batch

    def distribute(self, dataset_of: Callable[[int, range], tf.data.Dataset]) -> Iterator[Batch]:
        """Batches cut for the replicas, from `dataset_of(number of slices, own slices)`, step by step."""
        if self.feeds_batches:
            return self._send(iter(dataset_of(self.count, range(self.count))))

        def dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
            own = self.count // context.num_input_pipelines
            first = context.input_pipeline_id * own
            return dataset_of(self.count, range(first, first + own))

        batches: Iterator[Batch] = iter(self.strategy.distribute_datasets_from_function(dataset))
        return batches

    def _send(self, slices: Iterator[Batch]) -> Iterator[Batch]:
        for first in slices:
            yield self.place([first, *itertools.islice(slices, self.count - 1)].__getitem__)

    def broadcast(self, variables: Sequence[tf.Variable]) -> None:
        """Give every worker the chief's values, so that only the chief reads a training state."""
        if self.workers > 1:
            self._broadcast_function(variables)()

    def agree(self, value: int) -> int:
        """The chief's `value`, on every worker."""
        if self.workers == 1:
            return value
        if self._broadcast_value is None:
            with self.scope():
                self._value = tf.Variable(value, dtype=tf.int64)
            self._broadcast_value = self._broadcast_function([self._value])
        self._value.assign(value)
        self._broadcast_value()
        return int(self._value.numpy())

    def wait(self) -> None:
        """Block until every worker has called this; raises StackbertError where one no longer answers."""
        if self.workers == 1:
            return
        try:
            tf.function(lambda: self.run(lambda: self.sum([tf.constant(1.0)])[0]), autograph=False)()
        except GONE as error:
            raise StackbertError(explain_gone(error)) from None

    def _broadcast_function(self, variables: Sequence[tf.Variable]) -> Callable[[], Any]:
        """The compiled function that assigns the first replica's values on every replica."""

        def broadcast() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            is_first = context.replica_id_in_sync_group == 0
            own = [variable.read_value() for variable in variables]
            values = [self.sum([tf.where(is_first, value, tf.zeros_like(value))])[0] for value in own]
            context.merge_call(_assign_all, (list(variables), values))
            return tf.constant(0)

        function: Callable[[], Any] = tf.function(lambda: self.run(broadcast), autograph=False)
        return function


def find_replicas(device: Device) -> Replicas:
    """The devices to train on. 'auto': the machines that TF_CONFIG names, else a TPU, else all GPUs, else the CPU.

    With several machines, call it before any other use of TensorFlow in the process. Raises StackbertError where the
    named device does not exist.
    """
    if len(_workers()) > 1:
        require(
            device == "auto", f"device {device}: {WORKERS_VARIABLE} names several machines, which needs device auto"
        )
        return Replicas(_multi_worker())
    if device == "tpu" or (device == "auto" and _has_tpu()):
        return Replicas(_tpu())
    kinds = {"cpu": ("CPU",), "gpu": ("GPU",)}.get(device, ("GPU", "CPU"))
    devices: list[Any] = next((found for kind in kinds if (found := tf.config.list_logical_devices(kind))), [])
    require(bool(devices), f"device {device}: this machine has none; 'stackbert doctor' lists its devices")
    names, on_gpu = [device.name for device in devices], devices[0].device_type == "GPU"
    if len(names) > 1:
        return Replicas(tf.distribute.MirroredStrategy(names), on_gpu)
    return Replicas(None if device == "auto" else tf.distribute.OneDeviceStrategy(names[0]), on_gpu)


def explain_gone(error: tf.errors.OpError) -> str:
    """What one of GONE means, and what to do."""
    return (
        f"a device or another worker no longer answers ({error.message.splitlines()[0][:200]}); start the same command "
        "on all machines again to continue from the last saved state"
    )


def _workers() -> list[str]:
    cluster = json.loads(os.environ.get(WORKERS_VARIABLE) or "{}").get("cluster", {})
    return [address for kind in ("chief", "worker") for address in cluster.get(kind, [])]


def _multi_worker() -> tf.distribute.Strategy:
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise StackbertError(f"{WORKERS_VARIABLE}: cannot connect to the workers {_workers()}: {error}") from None


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
            f"TPU '{name}' cannot be used: {error}. Install stackbert[tpu] on the TPU's machine and set TPU_NAME, or "
            "choose another --device"
        ) from None


def _assign_all(strategy: tf.distribute.Strategy, variables: Sequence[tf.Variable], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        strategy.extended.update(variable, lambda target, new: target.assign(new), (value,))
