"""Prediction on the command line."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from finetune.classifier.classifier import Classifier
from finetune.config import PredictConfig
from finetune.deploy.bundle import save_bundle
from finetune.deploy.predict import predict
from pretrain.model.checkpoint import load_checkpoint
from stackbert.core.errors import StackbertError
from tokenizer.encoding.reader import load_reader


def test_one_text(mysql_model):
    assert list(predict(mysql_model, "a table", PredictConfig(top=2))) == ["* 0.622  mysql\n  0.047  numpy"]
    assert list(predict(mysql_model, "a table", PredictConfig(threshold=0.5))) == ["* 0.622  mysql"]
    found = json.loads(next(predict(mysql_model, "tabelle ü", PredictConfig(json=True, top=1))))
    assert found["text"] == "tabelle ü"
    assert found["labels"] == [{"name": "mysql", "score": pytest.approx(0.6225, abs=1e-4), "chosen": True}]


def test_labels_are_shown_without_control_characters(tiny_base, recipe, tmp_path):
    classifier = Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), 2, recipe)
    save_bundle(classifier, tiny_base, ("a", "\x1b]0;owned\x07"), np.full(2, 0.5), tmp_path / "model")
    assert not any("\x1b" in line or "\x07" in line for line in predict(tmp_path / "model", "text", PredictConfig()))


def test_standard_input(mysql_model, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntext\n"))
    assert len(list(predict(mysql_model, "-", PredictConfig()))) == 1
    monkeypatch.setattr("sys.stdin", io.StringIO("one\n\ntwo\n"))
    lines = list(predict(mysql_model, "", PredictConfig(file="-", top=1)))
    assert lines == ["one\n* 0.622  mysql\n", "two\n* 0.622  mysql\n"]


def test_standard_input_is_answered_line_by_line_and_may_hold_json(mysql_model, monkeypatch):
    lines = ['{"text": "one\\ntwo"}', '{"text": 1}', "[3]", "plain"]
    taken: list[str] = []

    class Typed(io.StringIO):
        def __next__(self) -> str:
            taken.append(line := super().__next__())
            return line

    monkeypatch.setattr("sys.stdin", Typed("\n".join(lines)))
    answers = predict(mysql_model, "", PredictConfig(file="-", json=True))
    assert json.loads(next(answers))["text"] == "one\ntwo"
    assert len(taken) == 1
    assert [json.loads(answer)["text"] for answer in answers] == lines[1:]


def test_files(mysql_model, tmp_path):
    (tmp_path / "texts.txt").write_text("one\x1b[31m\ntwo\n")
    lines = list(predict(mysql_model, "", PredictConfig(file=str(tmp_path / "texts.txt"), top=1)))
    assert [line.splitlines()[0] for line in lines] == ["one[31m", "two"]
    for name in ("texts.jsonl", "texts.ndjson"):
        (tmp_path / name).write_text('{"text": "one\\ntwo"}\n{"text": "three"}\n')
        config = PredictConfig(file=str(tmp_path / name), json=True)
        assert [json.loads(line)["text"] for line in predict(mysql_model, "", config)] == ["one\ntwo", "three"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b'{"text": 1}', "line 1: has no 'text'"), (b'{"text": "a"}\n{', "line 2: not JSON"), (b"\xff", "not UTF-8")],
)
def test_broken_files_are_errors_with_their_line(content, message, mysql_model, tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_bytes(content)
    with pytest.raises(StackbertError, match=message):
        list(predict(mysql_model, "", PredictConfig(file=str(path))))


def test_nothing_to_label_is_an_error(mysql_model, tmp_path):
    for text, config in (("", PredictConfig()), ("a", PredictConfig(file="b"))):
        with pytest.raises(StackbertError, match="give either a text or --file"):
            list(predict(mysql_model, text, config))
    with pytest.raises(StackbertError, match=r"no\.txt: cannot be read: No such file"):
        list(predict(mysql_model, "", PredictConfig(file=str(tmp_path / "no.txt"))))
    with pytest.raises(StackbertError, match="top 0: must be above 0"):
        replace(PredictConfig(), top=0)
