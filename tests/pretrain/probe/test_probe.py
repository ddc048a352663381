"""The texts of a probe: which ones, whose vectors, and which labelled sets are refused."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from corpora.labels.labelled_set import load_labelled
from corpora.text_keys import text_keys
from pretrain.config import PretrainConfig
from pretrain.model.taught import Taught
from pretrain.model.text_batches import slots_in_row
from pretrain.probe import probe as module
from pretrain.probe.probe import Probe, ProbeBatch, load_probe
from stackbert.core.errors import StackbertError
from tests.finetune.questions import SIZES, write_labelled
from tokenizer.encoding.reader import TextReader, load_reader

ROW, BATCH = 32, 3


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """A labelled set without a test split, which no probe reads."""
    folder = write_labelled(tmp_path_factory.mktemp("labelled") / "set")
    (folder / "test.parquet").unlink()
    return folder


@pytest.fixture(scope="module")
def reader(small_rows) -> TextReader:
    return load_reader(small_rows / "tokenizer")


def probe(labels: Path, reader: TextReader, texts: int = 1_000, taught: Taught | None = None) -> Probe:
    return Probe(labels, reader, texts, ROW, BATCH, taught or Taught())


def ids_of_texts(batch: ProbeBatch) -> np.ndarray:
    """As the vector of each text its own ids, in order, then zeros: (B, S, T)."""
    slots = slots_in_row(ROW)
    found = np.zeros((BATCH, slots, ROW), np.float32)
    for row, slot in np.ndindex(BATCH, slots):
        own = batch.ids_BT[row][batch.segments_BT[row] == slot + 1]
        found[row, slot, : len(own)] = own
    return found


@pytest.mark.parametrize("texts", [1_000, 50])
def test_each_text_gets_its_own_vector_and_labels(texts, labelled, reader, monkeypatch):
    given = []
    monkeypatch.setattr(module, "dev_weighted_f1", lambda *arrays: given.extend(arrays) or 0.5)
    assert probe(labelled, reader, texts).score(ids_of_texts) == 0.5
    for split, vectors, targets in zip(("train", "dev"), given[::2], given[1::2], strict=True):
        whole = load_labelled(labelled, split)
        expected = {tuple(ids): row for ids, row in zip(_padded(reader, whole.texts), whole.targets, strict=True)}
        assert len(vectors) == len(targets) == min(texts, SIZES[split])
        for vector, row in zip(vectors, targets, strict=True):
            np.testing.assert_array_equal(expected[tuple(vector)], row)


def _padded(reader: TextReader, texts: list[str]) -> list[list[int]]:
    return [ids + [0] * (ROW - len(ids)) for ids in reader.ids_for_classifier(texts, ROW)]


def test_fewer_texts_are_some_of_more(labelled, reader):
    few, more = (set(map(tuple, _texts_of(probe(labelled, reader, count)))) for count in (20, 40))
    assert few < more


def _texts_of(one: Probe) -> np.ndarray:
    return one._texts["train"].encode(ids_of_texts)


def test_a_folder_that_is_no_labelled_set_is_refused(small_rows, reader):
    with pytest.raises(StackbertError, match=r"labels\.json: no such file; make it with 'stackbert corpora label'"):
        probe(small_rows / "rows", reader)


def test_a_set_with_one_label_is_refused(labelled, reader, tmp_path):
    folder = tmp_path / "one"
    shutil.copytree(labelled, folder)
    for split in ("train", "dev"):
        table = load_labelled(labelled, split)
        _write(folder / f"{split}.parquet", table.texts)
    (folder / "labels.json").write_text(json.dumps([{"name": "mysql", "posts": 1}]))
    with pytest.raises(StackbertError, match="holds one label; a probe needs two or more"):
        probe(folder, reader)


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_probe_whose_texts_tell_no_labels_apart_is_refused(split, labelled, reader, tmp_path):
    """Each encoder would score the same, and the first evaluation, of the base, would be the best one."""
    folder = tmp_path / "set"
    shutil.copytree(labelled, folder)
    _write(folder / f"{split}.parquet", load_labelled(labelled, split).texts)
    with pytest.raises(StackbertError, match="labels on both train and dev texts of the probe: 1 of 3; it needs two"):
        probe(folder, reader)


def test_what_few_dev_texts_cannot_tell_is_said(labelled, reader, tmp_path):
    assert probe(labelled, reader).description.endswith("; with 48 dev texts, differences of some points can be chance")
    folder = tmp_path / "set"
    shutil.copytree(labelled, folder)
    texts = load_labelled(labelled, "dev").texts * 3
    _write(folder / "dev.parquet", texts, ["mysql", "numpy"])
    said = probe(folder, reader).description
    assert said.endswith(f"and 144 dev texts of {folder}; on none of these dev texts, and not in the score: node.js")


def _write(path: Path, texts: list[str], labels: Sequence[str] = ("mysql",)) -> None:
    rows = [(str(number), text, [*labels]) for number, text in enumerate(texts)]
    pd.DataFrame(rows, columns=["id", "text", "labels"]).to_parquet(path)


def test_a_set_whose_labels_or_dev_texts_are_taught_is_refused(labelled, reader):
    with pytest.raises(StackbertError, match=r"an encoder probed with .*: was taught numpy, which are labels here"):
        probe(labelled, reader, taught=Taught(("c++", "NumPy")))
    dev = load_labelled(labelled, "dev").texts[:4]
    keys = np.unique(text_keys([""] * len(dev), dev).wholes_N)
    with pytest.raises(StackbertError, match=r"was taught tags, pairs or words of \d+ of the 48 dev texts; adapt it"):
        probe(labelled, reader, taught=Taught((), keys))


def test_a_run_without_labels_has_no_probe_and_is_not_stopped_by_one(reader):
    assert load_probe(PretrainConfig(), reader, ROW, 1, Taught()) is None
    with pytest.raises(StackbertError, match="stop_by probe: set probe_labels to a labelled set"):
        load_probe(PretrainConfig(stop_by="probe"), reader, ROW, 1, Taught())
