"""A small labelled set: each text has a word per label, among words without meaning for it."""

import json
import random
from pathlib import Path

import pandas as pd

from corpora.labels.labelled_set import Split, load_labelled
from finetune.classifier.classifier import Classifier
from finetune.classifier.phases import EncodedSplit
from finetune.train.features import FeatureStore
from stackbert.core.artifact import build_artifact

WITHOUT_BASELINES = {"tfidf": False, "word_vectors": False}
LABELS = ("mysql", "numpy", "node.js")
NOISE = "connect from to a list in or sort the rows of table with and print them".split()
SIZES = {"train": 240, "dev": 48, "test": 60}


def texts_and_labels(count: int, seed: int) -> tuple[list[str], list[list[str]]]:
    """Texts of a few words, and the labels of each."""
    draw = random.Random(seed)
    labels = [[LABELS[number % 3]] if number % 7 else [LABELS[0], LABELS[1]] for number in range(count)]
    texts = []
    for chosen in labels:
        words = draw.choices(NOISE, k=3) + chosen
        draw.shuffle(words)
        texts.append(" ".join(words))
    return texts, labels


def write_labelled(folder: Path) -> Path:
    """Write the set as 'corpora label' would."""

    def work(out: Path) -> dict[str, int]:
        (out / "labels.json").write_text(json.dumps([{"name": name, "posts": 1} for name in LABELS]))
        for seed, (split, count) in enumerate(SIZES.items()):
            texts, labels = texts_and_labels(count, seed)
            ids = [f"{split}-{number}" for number in range(count)]
            pd.DataFrame({"id": ids, "text": texts, "labels": labels}).to_parquet(out / f"{split}.parquet")
        return {}

    build_artifact(folder, "corpora label", {}, {}, work)
    return folder


def encode_split(classifier: Classifier, split: Split) -> EncodedSplit:
    """The split with the classifier's features, which are not kept."""
    return FeatureStore().encode(classifier, "", split)[0]


def load_splits(folder: Path) -> dict[str, Split]:
    """All three splits by name."""
    return {split: load_labelled(folder, split) for split in SIZES}
