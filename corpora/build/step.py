"""The base of this folder's datatrove steps: a step runs once for each task, numbered by `rank`."""

from collections.abc import Iterator
from typing import Any

from datatrove.pipeline.base import PipelineStep


class Step(PipelineStep):  # type: ignore[misc] # datatrove has no type information
    """One kind of task; subclasses implement `run`."""

    type = "corpora"

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Run task `rank` of `world_size`; `data` is what the step before it yields."""
        raise NotImplementedError
