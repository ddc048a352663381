"""Prediction on the command line."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from finetune.classifier.classifier import Classifier
from finetune.deploy.bundle import save_bundle
from finetune.deploy.config import PredictConfig
from finetune.deploy.predict import CHUNK_TEXTS, predict
from pretrain.model.checkpoint import load_checkpoint
from stackbert.core.errors import StackbertError
from tests.finetune.deploy.predictions import predicted
from tests.paths import ROOT
from tokenizer.encoding.reader import load_reader


def test_one_text(mysql_model):
    assert list(predict(mysql_model, "a table", PredictConfig(top=2))) == ["* 0.622  mysql\n  0.047  numpy"]
    assert list(predict(mysql_model, "a table", PredictConfig(threshold=0.5))) == ["* 0.622  mysql"]
    found = json.loads(next(predict(mysql_model, "tabelle ü", PredictConfig(json=True, top=1))))
    assert found.keys() == {"text", "labels"} and found["text"] == "tabelle ü"
    assert found["labels"] == [{"name": "mysql", "score": pytest.approx(0.6225, abs=1e-4), "chosen": True}]


def test_labels_are_shown_without_control_characters(tiny_base, recipe, tmp_path):
    classifier = Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), 2, recipe)
    save_bundle(classifier, tiny_base, ("a", "\x1b]0;owned\x07"), np.full(2, 0.5), tmp_path / "model")
    assert not any("\x1b" in line or "\x07" in line for line in predict(tmp_path / "model", "text", PredictConfig()))


def test_standard_input(mysql_model, standard_input, capsys):
    standard_input(b"one\ntext\n")
    assert len(list(predict(mysql_model, "-", PredictConfig()))) == 1
    standard_input(b"\xef\xbb\xbfone")
    assert json.loads(next(predict(mysql_model, "-", PredictConfig(json=True))))["text"] == "one"
    standard_input(b"one\n\ntwo\n \n")
    lines = list(predict(mysql_model, "", PredictConfig(file="-", top=1)))
    assert lines == ["one\n* 0.622  mysql\n", "two\n* 0.622  mysql\n"]
    assert capsys.readouterr().err == "standard input: left out: 2 empty texts, in line 2, line 4\n"


def test_standard_input_is_answered_line_by_line(mysql_model, standard_input):
    taken: list[bytes] = []

    class Typed(io.BytesIO):
        def readline(self, size=-1):
            taken.append(line := super().readline(size))
            return line

    standard_input(Typed(b"one\ntwo\nthree"))
    answers = predict(mysql_model, "", PredictConfig(file="-", json=True))
    assert json.loads(next(answers))["text"] == "one"
    assert len(taken) == 1
    assert [json.loads(answer)["where"] for answer in answers] == ["line 2", "line 3"]


def test_files_of_lines(mysql_model, tmp_path, capsys):
    path = tmp_path / "texts.txt"
    path.write_text("one\x1b[31m\ntwo\n")
    lines = list(predict(mysql_model, "", PredictConfig(file=str(path), top=1)))
    assert [line.splitlines()[0] for line in lines] == ["one[31m", "two"]
    path.write_text("one\n\n\ntwo\n \n\n\n")
    assert [(one["where"], one["text"]) for one in predicted(mysql_model, PredictConfig(file=str(path)))] == [
        ("line 1", "one"),
        ("line 4", "two"),
    ]
    assert capsys.readouterr().err == f"{path}: left out: 5 empty texts, in line 2, line 3, line 5, ...\n"


def test_a_long_line_is_one_text(mysql_model, tmp_path):
    (tmp_path / "texts.txt").write_text("mysql " * 100_000 + "\nshort\n")
    found = predicted(mysql_model, PredictConfig(file=str(tmp_path / "texts.txt")))
    assert [len(one["text"]) for one in found] == [600_000, 5]


def test_texts_before_a_broken_row_are_answered(mysql_model, tmp_path):
    count = CHUNK_TEXTS + 3
    lines = [json.dumps({"text": f"text {number}"}) for number in range(count)]
    (tmp_path / "texts.jsonl").write_text("\n".join([*lines, "{"]))
    answers = predict(mysql_model, "", PredictConfig(file=str(tmp_path / "texts.jsonl"), json=True))
    answered = [json.loads(next(answers))["text"] for _ in range(count)]
    with pytest.raises(StackbertError, match=f"line {count + 1}: not JSON"):
        next(answers)
    assert answered == [f"text {number}" for number in range(count)]


def test_many_texts_are_answered_in_their_order_whatever_their_length(mysql_model, tmp_path):
    lines = [f"{number} " + "mysql " * (number * 7 % 40) for number in range(600)]
    (tmp_path / "texts.txt").write_text("\n".join(lines))
    found = predicted(mysql_model, PredictConfig(file=str(tmp_path / "texts.txt")))
    assert [one["text"] for one in found] == lines
    assert [one["where"] for one in found] == [f"line {number + 1}" for number in range(600)]


def test_nothing_to_label_is_an_error(mysql_model, tmp_path):
    for text, config in (("", PredictConfig()), ("a", PredictConfig(file="b"))):
        with pytest.raises(StackbertError, match="give either a text or --file"):
            list(predict(mysql_model, text, config))
    for name in ("no.txt", "no.csv", "no.parquet", "no.jsonl"):
        with pytest.raises(StackbertError, match=rf"{name}: cannot be read: No such file"):
            list(
                predict(
                    mysql_model,
                    "",
                    PredictConfig(file=str(tmp_path / name), text_column="x" if "txt" not in name else None),
                )
            )
    with pytest.raises(StackbertError, match="TEXT: not UTF-8 at character 4"):
        list(predict(mysql_model, "caf\udce9", PredictConfig()))
    with pytest.raises(StackbertError, match="holds no text"):
        list(predict(mysql_model, " \n", PredictConfig()))
    with pytest.raises(StackbertError, match="top 0: must be above 0"):
        replace(PredictConfig(), top=0)


def test_a_folder_that_is_no_classifier_is_an_error_before_anything_is_read(tmp_path, standard_input):
    with pytest.raises(StackbertError, match=r"no classifier\.json, so this is not a fine-tuned classifier"):
        list(predict(tmp_path, "", PredictConfig(file="-")))


def test_output_to_a_reader_that_has_seen_enough_ends_quietly(mysql_model, tmp_path):
    (tmp_path / "texts.txt").write_text("mysql rows\n" * 3_000)
    command = f"{sys.executable} -m stackbert finetune predict {mysql_model} --file texts.txt --json | head -2"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("TF_XLA_FLAGS", None)  # the tests' cache, which XLA writes lines about
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert (done.stdout.count(b"\n"), done.stderr) == (2, b"")
