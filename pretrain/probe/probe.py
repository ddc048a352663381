"""The texts of a probe, packed for the encoder, and its score: weighted F1 on the dev texts of a labelled set."""

# N texts, B rows of a batch, T tokens, S texts of a row, P width of a vector, L labels

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from corpora.arrays import Codes
from corpora.labels.labelled_set import Split, label_names, load_labelled
from pretrain.config import PretrainConfig
from pretrain.model.taught import Taught
from pretrain.model.text_batches import inference_batches, slots_in_row
from pretrain.probe.linear_probe import dev_weighted_f1
from stackbert.core.errors import require
from tokenizer.encoding.reader import TextReader

SPLITS = ("train", "dev")
"""Test is never read: the probe chooses a checkpoint."""
MAX_TOKENS = 128
"""Of a text: its beginning tells most, and an evaluation stays short."""
ROWS_PER_DEVICE = 32
"""In one forward pass."""
FEW_DEV_TEXTS = 100  # the standard error of a share of them is up to 0.05


class ProbeBatch(NamedTuple):
    """Rows of texts; int32 arrays or tensors."""

    ids_BT: Any
    segments_BT: Any
    """Number of each token's text in its row, from 1; 0 is padding."""


VectorsOf = Callable[[ProbeBatch], npt.NDArray[np.float32]]
"""The vectors (B, S, P) of a batch's texts."""


class Probe:
    """Some train and dev texts of the labelled set in `labels`, at most `max_texts` of each, always the same ones.

    Batches have `batch_rows` rows of at most `row_length` tokens. Raises StackbertError where the folder is no labelled
    set, where fewer than two labels are on train and dev texts alike, so that all encoders could score the same, and
    where an encoder with the record `taught` would know the answers.
    """

    def __init__(
        self, labels: Path, reader: TextReader, max_texts: int, row_length: int, batch_rows: int, taught: Taught
    ) -> None:
        splits = {name: load_labelled(labels, name) for name in SPLITS}
        names = label_names(labels)
        require(len(names) > 1, f"{labels}: holds one label; a probe needs two or more")
        taught.refuse(f"an encoder probed with {labels}", names, {"dev": splits["dev"].texts})
        row_length = min(row_length, MAX_TOKENS)
        self.max_texts = slots_in_row(row_length)
        """Of a row."""
        chosen = {name: _some(split, max_texts) for name, split in splits.items()}
        self._targets: dict[str, Codes] = {name: split.targets for name, split in chosen.items()}
        self._texts = {
            name: _PackedTexts(reader.ids_for_classifier(split.texts, row_length), reader, row_length, batch_rows)
            for name, split in chosen.items()
        }
        sizes = " and ".join(f"{len(split.texts):,} {name}" for name, split in chosen.items())
        self.description = f"probe: logistic regression on the frozen encoder's vectors of {sizes} texts of {labels}"
        self.description += _limits(labels, names, chosen)

    def score(self, vectors_of: VectorsOf) -> float:
        """Weighted F1 on dev of a classifier fitted on the train texts, of an encoder that makes these vectors."""
        vectors = {name: texts.encode(vectors_of) for name, texts in self._texts.items()}
        return dev_weighted_f1(vectors["train"], self._targets["train"], vectors["dev"], self._targets["dev"])


def load_probe(
    config: PretrainConfig, reader: TextReader, row_length: int, devices: int, taught: Taught
) -> Probe | None:
    """The probe that a run asks for; raises StackbertError as Probe does, and where a run is to stop by none."""
    if config.probe_labels:
        labels, batch_rows = Path(config.probe_labels), ROWS_PER_DEVICE * devices
        return Probe(labels, reader, config.probe_texts, row_length, batch_rows, taught)
    require(
        config.stop_by != "probe", "stop_by probe: set probe_labels to a labelled set, the output of 'corpora label'"
    )
    return None


class _PackedTexts:
    """Texts in batches of one shape."""

    def __init__(self, sequences: list[list[int]], reader: TextReader, row_length: int, batch_rows: int) -> None:
        self._count = len(sequences)
        self._batches = list(inference_batches(sequences, reader.padding_id, row_length, batch_rows))

    def encode(self, vectors_of: VectorsOf) -> npt.NDArray[np.float32]:
        """The vector of each text, (N, P)."""
        found = [(indices_N, vectors_of(ProbeBatch(*batch[:2])), batch.slots_N) for batch, indices_N in self._batches]
        vectors_NP = np.empty((self._count, found[0][1].shape[-1]), np.float32)
        for indices_N, vectors_BSP, slots_N in found:
            vectors_NP[indices_N] = vectors_BSP.reshape(-1, vectors_BSP.shape[-1])[slots_N]
        return vectors_NP


def _limits(labels: Path, names: Sequence[str], splits: Mapping[str, Split]) -> str:
    """What the texts of a probe cannot tell, in words; raises StackbertError where they tell labels from no other."""
    has_train_L, has_dev_L = (splits[name].targets.max(axis=0).tolist() for name in SPLITS)
    both = sum(map(min, has_train_L, has_dev_L))
    require(
        both > 1,
        f"{labels}: labels on both train and dev texts of the probe: {both} of {len(names)}; it needs two or more. "
        "Raise probe_texts, or give a labelled set with more dev texts",
    )
    unscored = [name for name, has_dev in zip(names, has_dev_L, strict=True) if not has_dev]
    limits = f"; on none of these dev texts, and not in the score: {', '.join(unscored)}" if unscored else ""
    count = len(splits["dev"].texts)
    return limits + (f"; with {count} dev texts, differences of some points can be chance" * (count < FEW_DEV_TEXTS))


def _some(split: Split, count: int) -> Split:
    """At most `count` texts; a smaller choice is a subset of a larger one."""
    chosen_N = np.sort(np.random.default_rng(0).permutation(len(split.texts))[:count])
    return Split([split.ids[n] for n in chosen_N], [split.texts[n] for n in chosen_N], split.targets[chosen_N])
