"""The classifier of a server: loaded and compiled in a thread, then labelling batches of texts there."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from finetune.deploy.batcher import Batcher
from finetune.deploy.bundle import Bundle, LabelScore
from finetune.deploy.config import ServeConfig

ROW_SIZES = (16, 8, 4, 2, 1)
"""Numbers of rows that are compiled. Any number of rows is a sum of few of them, and from 8 on a row of a small encoder
costs the same."""


class Reading(NamedTuple):
    """What the classifier makes of a text."""

    labels: list[LabelScore]
    """All labels, the most probable first."""
    tokens: list[str]
    """The tokens read, at most `max_length` of the classifier."""


class Labelling:
    """Labels the texts of all requests. TensorFlow runs in one thread, as it uses all cores itself."""

    def __init__(self, load: Callable[[], Bundle], config: ServeConfig) -> None:
        self._load, self._config = load, config
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="labelling")
        self.batcher: Batcher[Reading] | None = None
        """None until the classifier is ready."""
        self.max_length = 0

    @property
    def is_ready(self) -> bool:
        return self.batcher is not None

    async def start(self) -> None:
        """Load and compile the classifier; raises StackbertError if it cannot be loaded."""
        bundle = await asyncio.get_running_loop().run_in_executor(self._thread, self._prepared)
        self.max_length = bundle.classifier.config.max_length
        self.batcher = Batcher(
            lambda texts: read_texts(bundle, texts),
            self._thread,
            self._config.batch_texts,
            self._config.batch_wait_milliseconds / 1_000,
            self._config.max_waiting,
        )

    async def run(self) -> None:
        """Label batches until cancelled."""
        assert self.batcher
        await self.batcher.run()

    def close(self) -> None:
        """End the thread once it is done with its batch."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _prepared(self) -> Bundle:
        bundle = self._load()
        bundle.classifier.compile_features(ROW_SIZES)
        read_texts(bundle, [""])
        return bundle


def read_texts(bundle: Bundle, texts: list[str]) -> list[Reading]:
    """Labels and tokens of each text."""
    classifier = bundle.classifier
    sequences = classifier.sequences(texts)
    scores_NL = classifier.head_probabilities(classifier.features_in_sizes(sequences, ROW_SIZES))
    token_of = classifier.reader.tokenizer.id_to_token
    tokens = [[token_of(number) or "" for number in ids] for ids in sequences]
    return [Reading(labels, read) for labels, read in zip(bundle.ranked(scores_NL), tokens, strict=True)]
