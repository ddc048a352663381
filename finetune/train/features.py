"""The frozen encoder's features of texts, kept on disk while a comparison runs: encoded once, also if it is killed."""

# N texts, P pooled

import hashlib
import json
import math
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpora.labels.labelled_set import Split
from finetune.classifier.classifier import Classifier
from finetune.classifier.phases import EncodedSplit
from finetune.classifier.text_sections import encode_texts
from stackbert.core.artifact import write_json
from stackbert.core.hashing import json_sha256


class FeatureStore:
    """Features by checkpoint, pooling, row length, precision and token ids, as files in `folder`.

    Recipes that differ in anything else share them.

    What is encoded is written every `save_seconds`, and continued from there. Without a folder nothing is kept, as on
    workers other than the chief; all workers encode together what the chief lacks.
    """

    def __init__(self, folder: Path | None = None, save_seconds: float = math.inf) -> None:
        self._folder, self._save_seconds = folder, save_seconds

    def encode(self, classifier: Classifier, subject: str, split: Split) -> tuple[EncodedSplit, float]:
        """A split with its features, which serve all seeds, and the seconds that these took to compute.

        `subject` identifies the checkpoint that the classifier has loaded. A worker that is not the chief gets only the
        features that it took part in.
        """
        sequences, lengths = encode_texts(split.texts, classifier.reader, classifier.config)
        features_NP, seconds = self._features(classifier, subject, sequences)
        return EncodedSplit(sequences, lengths, split.targets, features_NP), seconds

    def _features(
        self, classifier: Classifier, subject: str, sequences: list[list[int]]
    ) -> tuple[npt.NDArray[np.float32], float]:
        path = self._path(classifier, subject, sequences) if self._folder else None
        batches, seconds = _progress(path) if path else (0, 0.0)
        batches = classifier.replicas.agree(batches)
        values_NP = _open(path, (len(sequences), classifier.pooled_dim), batches)
        start = saved = time.monotonic()

        def elapsed() -> float:
            return seconds + time.monotonic() - start

        for indices_N, pooled_NP in classifier.feature_batches(sequences, batches):
            values_NP[indices_N] = pooled_NP
            batches += 1
            if path and time.monotonic() - saved >= self._save_seconds:
                _save(path, values_NP, batches, elapsed())
                saved = time.monotonic()
        if path:
            _save(path, values_NP, batches, elapsed())
        return values_NP, elapsed()

    def _path(self, classifier: Classifier, subject: str, sequences: list[list[int]]) -> Path:
        assert self._folder
        ids = np.array([number for sequence in sequences for number in (len(sequence), *sequence)], np.int64)
        config = classifier.config
        read = [config.pooling, config.max_length, config.precision]  # the texts' sections are in the token ids
        parts = [subject, read, hashlib.sha256(ids.tobytes()).hexdigest()]
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{json_sha256(parts)}.npy"


def _open(path: Path | None, shape: tuple[int, int], batches: int) -> npt.NDArray[np.float32]:
    """The file's values, mapped to memory; a new file where none of its batches is known to be written."""
    if path is None:
        return np.zeros(shape, np.float32)
    if batches:
        values_NP: npt.NDArray[np.float32] = np.load(path, mmap_mode="r+", allow_pickle=False)
        return values_NP
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)


def _progress(path: Path) -> tuple[int, float]:
    """Batches that are written in the file, and the time that they took."""
    record = path.with_suffix(".json")
    if not record.is_file():
        return 0, 0.0
    values = json.loads(record.read_text("utf-8"))
    return int(values["batches"]), float(values["seconds"])


def _save(path: Path, values_NP: npt.NDArray[np.float32], batches: int, seconds: float) -> None:
    """Write the values, then that they are written."""
    if isinstance(values_NP, np.memmap):
        values_NP.flush()
    write_json(path.with_suffix(".json"), {"batches": batches, "seconds": seconds})
