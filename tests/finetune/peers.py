"""Texts a second of fine-tuning the whole model: ours, and PyTorch transformers' Trainer, in turn on the same ones.

    python -m tests.finetune.peers LABELS --torch T/bin/python

LABELS is the output of 'corpora label'; the Python at --torch has torch, transformers and accelerate. Both read
the same first texts with the same model, batch and rate; the Trainer pads each batch to its longest text, as its
examples do. Beside it: the time of 50 epochs of the head over that of one pass of the frozen encoder, and the tokens a
second of that pass over those of pretraining's forward pass on full rows.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
import tyro
from tyro.conf import OmitArgPrefixes, Positional

from corpora.labels.labelled_set import Split, load_labelled
from finetune.classifier.classifier import ROWS_PER_BATCH, Classifier
from finetune.classifier.phases import EncodedSplit, EncodedSplits
from finetune.config import FinetuneConfig
from finetune.train.head_training import HeadTraining
from finetune.train.whole_training import WholeTraining
from finetune.trials.fine_tuner import load_for
from pretrain.measure.bench_models import MASK_ID, SPECIAL_IDS, random_rows
from pretrain.measure.config import BenchConfig
from pretrain.objectives.masked_lm import MaskedLM, Masker
from pretrain.train.replicas import find_replicas
from pretrain.train.step import compile_evaluation
from stackbert.core.checkpoints import resolve_base
from stackbert.core.process import keep_freed_memory
from tests.finetune.questions import encode_split

FORWARD_BATCHES = 4
FEW = 1  # dev and test texts: what is timed is the training
TRAINER = """
import json, sys
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer
from transformers import TrainingArguments

asked = json.load(open(sys.argv[1]))
tokenizer = AutoTokenizer.from_pretrained(asked["model"])
model = AutoModelForSequenceClassification.from_pretrained(
    asked["model"], num_labels=len(asked["targets"][0]), problem_type="multi_label_classification"
)
read = tokenizer(asked["texts"], truncation=True, max_length=asked["max_length"])
rows = [
    {"input_ids": ids, "attention_mask": mask, "labels": [float(label) for label in labels]}
    for ids, mask, labels in zip(read["input_ids"], read["attention_mask"], asked["targets"])
]
def train(rows):
    arguments = TrainingArguments(
        output_dir=asked["scratch"], use_cpu=True, bf16=asked["bf16"], per_device_train_batch_size=asked["batch_size"],
        num_train_epochs=1, learning_rate=1e-5, save_strategy="no", report_to="none", disable_tqdm=True,
    )
    collate = DataCollatorWithPadding(tokenizer)
    return Trainer(model, arguments, train_dataset=rows, data_collator=collate).train().metrics["train_runtime"]
train(rows[: 2 * asked["batch_size"]])
print("RATE", len(rows) / train(rows))
"""


@dataclass(frozen=True)
class Comparison:
    """What to run."""

    torch: str = ""
    """Python with torch, transformers and accelerate."""
    model: str = "minilm"
    texts: int = 640
    max_length: int = 128
    batch_size: int = 32
    precisions: tuple[str, ...] = ("bf16", "fp32")
    """Of the Trainer."""
    rounds: int = 3


class Ours:
    """Our two phases on some texts."""

    def __init__(self, asked: Comparison, train: Split):
        config = FinetuneConfig(max_length=asked.max_length, batch_size=asked.batch_size, epochs=1)
        checkpoint, reader = load_for(asked.model, config)
        self._classifier = Classifier(checkpoint, reader, train.targets.shape[1], config)
        self._few = encode_split(self._classifier, _first(train, FEW))
        self._train = train
        self._encoded: EncodedSplit = encode_split(self._classifier, train)
        self._splits = EncodedSplits(self._encoded, self._few, self._few)
        self._whole, self._head = WholeTraining(self._classifier), HeadTraining(self._classifier)
        self._head.run(self._splits, 0)
        self._whole.run(self._splits, 0)  # compiles
        self._classifier.features(self._encoded.sequences)
        self._forward = Forward(self._classifier)

    def rate(self, seed: int) -> float:
        """Texts a second of an epoch of the whole model."""
        return len(self._train.texts) / self._whole.run(self._splits, seed).seconds

    def shares(self, seed: int) -> tuple[float, float]:
        """Time of the head's epochs over that of one pass of the encoder, and tokens a second of the pass over those
        of pretraining's forward pass.
        """
        start = time.monotonic()
        self._classifier.features(self._encoded.sequences)
        seconds = time.monotonic() - start
        rate = sum(map(len, self._encoded.sequences)) / seconds
        return self._head.run(self._splits, seed).seconds / seconds, rate / self._forward.rate()


class Forward:
    """The forward pass of pretraining, on full rows, with a classifier's encoder."""

    def __init__(self, classifier: Classifier):
        encoder, rows = classifier.encoder, (ROWS_PER_BATCH, classifier.config.max_length)
        config = BenchConfig(batch_rows=rows[0], row_length=rows[1])
        masker = Masker(encoder.architecture.vocab_size, SPECIAL_IDS, MASK_ID, config.mask_rate)
        ids_BT = tf.constant(random_rows(config, encoder.architecture.vocab_size).ids[: rows[0]], tf.int32)
        self._batch = masker.mask(ids_BT, tf.ones(rows, tf.int32), tf.constant([0, 0, 0]))
        self._evaluate = compile_evaluation(MaskedLM(encoder), find_replicas("cpu"))
        self._evaluate(self._batch)

    def rate(self) -> float:
        """Tokens a second."""
        start = time.monotonic()
        for _ in range(FORWARD_BATCHES):
            self._evaluate(self._batch)
        return FORWARD_BATCHES * tf.size(self._batch.ids_BT).numpy() / (time.monotonic() - start)


def _first(split: Split, count: int) -> Split:
    return Split(split.ids[:count], split.texts[:count], split.targets[:count])


def trainer_rate(asked: Comparison, train: Split, bf16: bool) -> float:
    """Texts a second of the Trainer."""
    with tempfile.TemporaryDirectory() as scratch:
        request = Path(scratch) / "request.json"
        settings = {"model": str(resolve_base(asked.model)), "bf16": bf16, "scratch": scratch}
        settings |= {"max_length": asked.max_length, "batch_size": asked.batch_size}
        request.write_text(json.dumps(settings | {"texts": train.texts, "targets": train.targets.tolist()}))
        command = [asked.torch, "-c", TRAINER, str(request)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("RATE ")]
    if not found:
        sys.exit(f"the Trainer failed:\n{done.stderr[-2000:]}")
    return float(found[0])


def main(labels: Positional[Path], asked: OmitArgPrefixes[Comparison]) -> None:
    """Run both in turn and print medians and ratios."""
    keep_freed_memory()
    train = _first(load_labelled(labels, "train"), asked.texts)
    ours, rates, shares = Ours(asked, train), defaultdict(list), []
    for number in range(1, asked.rounds + 1):
        rates["stackbert"].append(ours.rate(number))
        shares.append(ours.shares(number))
        for precision in asked.precisions if asked.torch else ():
            rates[f"Trainer {precision}"].append(trainer_rate(asked, train, precision == "bf16"))
        last = {name: round(each[-1], 1) for name, each in rates.items()}
        print(f"round {number}: {last}", file=sys.stderr, flush=True)
    print(f"{asked.texts} texts, at most {asked.max_length} tokens, batches of {asked.batch_size}; medians")
    best = statistics.median(rates["stackbert"])
    for name, each in rates.items():
        print(f"{name:<16}{statistics.median(each):>8.1f} texts/s  {best / statistics.median(each):.2f}x")
    head, features = (statistics.median(each) for each in zip(*shares, strict=True))
    print(f"50 epochs of the head: {head:.2f} of one pass of the encoder")
    print(f"that pass: {features:.2f} of the tokens a second of pretraining's forward pass")


if __name__ == "__main__":
    tyro.cli(main)
