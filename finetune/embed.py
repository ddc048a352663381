"""Vectors of texts from any checkpoint or classifier, for search, clustering and other libraries."""

# N texts, P pooled

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from finetune.classifier.classifier import ROWS_PER_BATCH, Classifier
from finetune.config import FinetuneConfig
from finetune.deploy.bundle import ROW_SIZES, SETTINGS_FILE, load_bundle
from pretrain.config import TextPooling
from pretrain.init.transfer import check_vocabulary
from pretrain.model.checkpoint import load_checkpoint
from pretrain.model.sentence_encoder import ModulesError, SentenceEncoder, load_sentence_encoder
from stackbert.core.checkpoints import resolve_base
from stackbert.core.errors import StackbertError, require
from tokenizer.encoding.reader import load_reader

LOADED = 2  # encoders that are kept: a base and its adaptation, compared in turn


def embed(
    texts: Iterable[str],
    checkpoint: str | Path = "minilm",
    pooling: TextPooling | None = None,
    normalize: bool | None = None,
) -> npt.NDArray[np.float32]:
    """One vector per text, (N, P) float32, in the order of the texts.

    `checkpoint` is a folder, a hub id, 'minilm', or a classifier (a folder in a comparison's 'models'), whose
    fine-tuned encoder is used. `pooling` is 'mean', 'cls' or 'cls+mean'; P is the hidden width, or twice that with
    'cls+mean'. `normalize` divides each vector by its Euclidean length. Unless given, both are what the checkpoint
    declares (`modules.json`) or the classifier was trained with; else the mean over tokens, as it is. Texts are
    truncated to the length declared, or to what the encoder reads. The encoder is loaded once, and again where its
    files change.

    Raises StackbertError where there is no such checkpoint, it declares modules that cannot be read, or a text is not
    a str.

    >>> embed(["How do I join two tables?"]).shape                 # doctest: +SKIP
    (1, 384)
    """
    return load_embedder(checkpoint, pooling, normalize).embed(texts)


@dataclass(frozen=True)
class Embedder:
    """A loaded encoder."""

    folder: Path
    classifier: Classifier
    """Its encoder, pooling and lengths are used; its head is not."""
    declared: SentenceEncoder
    """What the vectors are, as it is declared in a sentence-transformers folder."""

    def embed(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        """See the function `embed`."""
        require(not isinstance(texts, str), "texts: is a str; give a list of texts")
        listed = list(texts)
        for index, text in enumerate(listed):
            require(isinstance(text, str), f"texts[{index}]: is a {type(text).__name__}, not a str; convert or drop it")
        sequences = self.classifier.sequences(listed)
        is_small = sum(map(len, sequences)) < ROWS_PER_BATCH * self.classifier.config.max_length
        if is_small:  # a batch of `features` would be mostly padding
            vectors_NP = self.classifier.features_in_sizes(sequences, ROW_SIZES)
        else:
            vectors_NP = self.classifier.features(sequences)
        if self.declared.normalize:
            vectors_NP /= np.maximum(np.linalg.norm(vectors_NP, axis=1, keepdims=True), 1e-12)
        return vectors_NP


def load_embedder(
    checkpoint: str | Path, pooling: TextPooling | None = None, normalize: bool | None = None
) -> Embedder:
    """Load the encoder of a checkpoint or classifier; see `embed`."""
    poolings = get_args(TextPooling)
    require(pooling in (None, *poolings), f"pooling {pooling!r}: must be one of {', '.join(poolings)}")
    folder = resolve_base(str(checkpoint))
    return _load(folder, pooling, normalize, _stamps(folder))


def _stamps(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes where a file in the folder does."""
    found = ((path.name, path.stat()) for path in sorted([*folder.iterdir(), *folder.glob("*_Pooling/*")]))
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)


@lru_cache(LOADED)
def _load(
    folder: Path, pooling: TextPooling | None, normalize: bool | None, stamps: tuple[tuple[str, int, int], ...]
) -> Embedder:
    is_bundle = (folder / SETTINGS_FILE).is_file()
    classifier, declared = _bundled(folder) if is_bundle else _unbundled(folder, pooling)
    declared = replace(
        declared,
        pooling=pooling or declared.pooling,
        normalize=declared.normalize if normalize is None else normalize,
    )
    config = replace(classifier.config, pooling=declared.pooling)
    if config != classifier.config:
        classifier = Classifier(classifier.checkpoint, classifier.reader, 1, config)
    return Embedder(folder, classifier, declared)


def _bundled(folder: Path) -> tuple[Classifier, SentenceEncoder]:
    classifier = load_bundle(folder).classifier
    config = classifier.config
    return classifier, SentenceEncoder(config.pooling, normalize=False, max_length=config.max_length)


def _unbundled(folder: Path, pooling: TextPooling | None) -> tuple[Classifier, SentenceEncoder]:
    try:
        declared = load_sentence_encoder(folder) or SentenceEncoder("mean", normalize=False)
    except ModulesError as error:
        if pooling is None:
            raise StackbertError(f"{error}. Name the pooling to use the encoder alone") from error
        declared = SentenceEncoder(pooling, normalize=False)
    checkpoint, reader = load_checkpoint(folder), load_reader(folder)
    check_vocabulary(checkpoint, reader)
    longest = checkpoint.architecture.max_length
    max_length = min(declared.max_length or longest, longest)
    config = FinetuneConfig(max_length=max_length, pooling=declared.pooling, precision="float32")
    return Classifier(checkpoint, reader, 1, config), replace(declared, max_length=max_length)
