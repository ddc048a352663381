"""Files, tables and standard input that hold texts to label."""

import csv
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finetune.classifier.classifier import Classifier
from finetune.deploy.bundle import save_bundle
from finetune.deploy.config import PredictConfig
from finetune.deploy.input_texts import input_texts
from finetune.deploy.predict import predict
from pretrain.model.checkpoint import load_checkpoint
from stackbert.core.errors import StackbertError
from tests.finetune.deploy.predictions import predicted, texts
from tokenizer.encoding.reader import load_reader


def test_the_first_line_of_standard_input_decides_whether_it_is_json(mysql_model, standard_input):
    standard_input(b'\n{"text": "one\\ntwo", "n": 5}\n{"text": "three", "n": "x"}\n')
    found = predicted(mysql_model, PredictConfig(file="-", id_column="n"))
    assert [(one["text"], one["id"]) for one in found] == [("one\ntwo", 5), ("three", "x")]
    standard_input(b'plain\n{"text": "two"}\n[3]\n')
    assert [one["text"] for one in predicted(mysql_model, PredictConfig(file="-"))] == [
        "plain",
        '{"text": "two"}',
        "[3]",
    ]
    for content, message in (
        (b'{"text": "a"}\nplain', "line 2: not a JSON object, but the first line is one"),
        (b'{"body": "a"}', r"line 1: has no 'text' \(its columns are body; the options are --text-column"),
        (b'{"text": 5}', "line 1: 'text' is not a text but 5"),
        (b'{"text": "\\ud83d"}', "line 1: 'text' is not UTF-8 text at character 1"),
    ):
        standard_input(content)
        with pytest.raises(StackbertError, match=f"^standard input: {message}"):
            predicted(mysql_model, PredictConfig(file="-"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input: holds no text"),
        (b" \n", "standard input: holds no text"),
        (b"caf\xe9 au lait", "not UTF-8 text: byte 4 is 0xe9; convert it"),
        (b"a\0b", "byte 2 is NUL"),
    ],
)
def test_text_on_standard_input_that_cannot_be_read_is_an_error(content, message, mysql_model, standard_input):
    for text, config in (("-", PredictConfig()), ("", PredictConfig(file="-"))):
        standard_input(content)
        with pytest.raises(StackbertError, match=message):
            list(predict(mysql_model, text, config))


@pytest.mark.parametrize("ending", [".txt", "", ".log"])
def test_lines_end_in_line_feeds_only(tmp_path, ending):
    path = tmp_path / f"texts{ending}"
    path.write_bytes(
        b"\xef\xbb\xbfone\r\ntwo \xe2\x80\xa8x\x0b\x0c\x1c\x85"[:-1] + "\x85y\nthree\rfour\n\nfive".encode()
    )
    assert texts(path) == [
        ("line 1", "one", None),
        ("line 2", "two \u2028x\x0b\x0c\x1c\x85y", None),
        ("line 3", "three\rfour", None),
        ("line 4", "", None),
        ("line 5", "five", None),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no text$"),
        (b"\xef\xbb\xbf", "holds no text"),
        (b"\n \n\t\n", "holds no text: 3 empty texts, in line 1, line 2, line 3$"),
        (b"one\ntwo\xff\n", "line 2: not UTF-8 text: byte 8 is 0xff; convert it to UTF-8"),
        (b"\xef\xbb\xbfone\xff\n", "line 1: not UTF-8 text: byte 7 is 0xff"),
        ("one\ntwo\n".encode("utf-16"), "is UTF-16; convert it to UTF-8"),
        ("one\ntwo\n".encode("utf-16-le"), "line 1: byte 2 is NUL, so this is not UTF-8 text"),
        ("Grüße".encode("cp1252"), "line 1: not UTF-8 text: byte 3 is 0xfc"),
        (b"\x89PNG\r\n\x1a\n\0\0", "line 1: not UTF-8 text: byte 1 is 0x89"),
        (b"PK\x03\x04\x14", "is a zip archive; unpack it"),
        (b"\x1f\x8b\x08", "is a gzip archive"),
        (b"one\rtwo\rthree\r", "lines end in carriage returns; convert them"),
        (b"a" * (2**22 + 1), "line 1: longer than 4,194,304 bytes; put one text on a line"),
    ],
)
def test_files_that_are_no_lines_of_text_are_errors(content, message, mysql_model, tmp_path):
    (tmp_path / "texts.txt").write_bytes(content)
    with pytest.raises(StackbertError, match=rf"texts\.txt: {message}"):
        predicted(mysql_model, PredictConfig(file=str(tmp_path / "texts.txt")))


def test_workbook_is_refused_with_the_way_to_save_it(mysql_model, tmp_path):
    with zipfile.ZipFile(tmp_path / "texts.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(StackbertError, match=r"texts\.xlsx: is a workbook or document; save the sheet as 'CSV UTF-8'"):
        predicted(mysql_model, PredictConfig(file=str(tmp_path / "texts.xlsx")))


def test_json_lines_hold_a_text_each(mysql_model, tmp_path):
    for name in ("texts.jsonl", "texts.ndjson", "texts.json", "TEXTS.JSONL"):
        (tmp_path / name).write_text('{"text": "one\\ntwo", "id": 7}\n{"text": "three", "id": null}\n')
        found = predicted(mysql_model, PredictConfig(file=str(tmp_path / name), id_column="id"))
        assert [(one["text"], one["id"]) for one in found] == [("one\ntwo", 7), ("three", None)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": 1}', "line 1: 'text' is not a text but 1"),
        (b'{"title": "a", "body": "b"}', r"line 1: has no 'text' \(its columns are title, body"),
        (b'{"text": "a"}\n{', "line 2: not JSON"),
        (b'{"text": "a"}\n[]', "line 2: not a JSON object"),
        (b'{"text": "\xff"}', "(?i)utf-8"),
        (b'{"text": "\\udc80"}', "line 1: 'text' is not UTF-8 text at character 1"),
    ],
)
def test_broken_json_lines_are_errors_with_their_line(content, message, mysql_model, tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_bytes(content)
    with pytest.raises(StackbertError, match=message):
        predicted(mysql_model, PredictConfig(file=str(path)))


def written_table(path: Path) -> list[dict[str, str]]:
    """A table of tickets in the form that the path's ending names."""
    rows = [
        {"key": "T-1", "subject": "Sort, please", "details": "<p>a <b>table</b></p>\n<p>in mysql</p>"},
        {"key": "T-2", "subject": 'A "list"', "details": ""},
        {"key": "T-3", "subject": "Rows", "details": "of\nnumpy"},
    ]
    frame = pd.DataFrame(rows)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",", quoting=csv.QUOTE_MINIMAL)
    return rows


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_columns_of_a_table(mysql_model, tmp_path, ending):
    """The header was a text once, and each line of a multi-line cell another."""
    path = tmp_path / f"tickets{ending}"
    rows = written_table(path)
    assert [text for _, text, _ in texts(path, text_column="subject")] == [row["subject"] for row in rows]
    assert [text for _, text, _ in texts(path, text_column="details")] == [row["details"] for row in rows]
    found = texts(path, title_column="subject", body_column="details", id_column="key")
    assert [(text, key) for _, text, key in found] == [
        ("Sort, please\na table\n\nin mysql", "T-1"),
        ('A "list"', "T-2"),
        ("Rows\nof\nnumpy", "T-3"),
    ]
    config = PredictConfig(file=str(path), body_column="details", id_column="key")
    assert [one["id"] for one in predicted(mysql_model, config)] == ["T-1", "T-3"]
    assert next(predict(mysql_model, "", replace(config, top=1))) == "T-1: a table in mysql\n* 0.622  mysql\n"


def test_bodies_are_made_into_text_as_the_corpus_was(tiny_base, recipe, tmp_path):
    path = tmp_path / "posts.csv"
    path.write_text('id,body\n1,"<p>Why?</p><pre><code>a = 1</code></pre>"\n')
    for settings, text in (
        ({}, "Why?\n\na = 1"),
        ({"code": "mark"}, "Why?\n\n```\na = 1\n```"),
        ({"code": "drop"}, "Why?"),
        ({"format": "text"}, "<p>Why?</p><pre><code>a = 1</code></pre>"),
    ):
        assert [one.text for one in input_texts(PredictConfig(str(path), body_column="body", **settings))] == [text]
    sections = replace(recipe, code_tokens=4)
    classifier = Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), 1, sections)
    save_bundle(classifier, tiny_base, ("a",), np.full(1, 0.5), tmp_path / "model")
    config = PredictConfig(file=str(path), body_column="body")
    with pytest.raises(StackbertError, match=r"reads code apart .* bodies need --code mark"):
        list(predict(tmp_path / "model", "", config))
    assert len(list(predict(tmp_path / "model", "", replace(config, code="mark")))) == 1


def test_values_of_other_types(mysql_model, tmp_path):
    path = tmp_path / "tickets.parquet"
    dates = pd.to_datetime(["2020-01-01", "2021-06-05"])
    frame = {"text": [b"caf\xc3\xa9", b"b"], "list": [["x"], ["y"]], "id": [1, 2], "float": [1.5, None], "date": dates}
    pd.DataFrame(frame).to_parquet(path)
    for column, ids in {
        "id": [1, 2],
        "float": [1.5, None],
        "date": ["2020-01-01 00:00:00", "2021-06-05 00:00:00"],
    }.items():
        found = predicted(mysql_model, PredictConfig(file=str(path), text_column="text", id_column=column))
        assert [(one["text"], one["id"]) for one in found] == list(zip(["café", "b"], ids, strict=True))
    for column, value in (("list", r"\['x'\]"), ("id", "1"), ("float", "1.5")):
        with pytest.raises(StackbertError, match=rf"^tickets\.parquet row 1: '{column}' is not a text but {value}$"):
            texts(path, text_column=column)
    pd.DataFrame({"text": [b"a", b"\xff"]}).to_parquet(path)
    with pytest.raises(StackbertError, match="row 2: 'text': not UTF-8 text: byte 1 is 0xff"):
        texts(path, text_column="text")
    (tmp_path / "tickets.jsonl").write_text('{"text": "a", "id": NaN}\n{"text": null, "id": 5}\n')
    assert texts(tmp_path / "tickets.jsonl", id_column="id") == [("line 1", "a", None), ("line 2", "", 5)]


def test_a_folder_of_parquet_files_is_a_table(mysql_model, tmp_path):
    for number in range(2):
        written_table(tmp_path / f"part-{number}.parquet")
    found = predicted(mysql_model, PredictConfig(file=str(tmp_path), text_column="subject", id_column="key"))
    assert [one["id"] for one in found] == ["T-1", "T-2", "T-3"] * 2


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_a_table_needs_names_of_columns_that_it_has(mysql_model, tmp_path, ending):
    path = tmp_path / f"tickets{ending}"
    written_table(path)
    for columns, message in (
        ({}, "name the column of texts, or those of titles and bodies .its columns are key, subject, details"),
        ({"id_column": "key"}, "name the column of texts"),
        ({"text_column": "Subject"}, "has no 'Subject'; nearest is 'subject'"),
        ({"text_column": "subject", "id_column": "id"}, "has no 'id'.* .its columns are key, subject, details"),
        ({"title_column": "titel"}, "no column 'titel'"),
        ({"title_column": "subject", "id_column": "nr"}, "has no 'nr'"),
    ):
        with pytest.raises(StackbertError, match=message):
            predicted(mysql_model, PredictConfig(file=str(path), **columns))


def test_columns_that_do_not_fit_are_errors(mysql_model, tmp_path, standard_input):
    (tmp_path / "texts.txt").write_text("a\n")
    with pytest.raises(StackbertError, match=r"texts\.txt: .*\.csv"):
        predicted(mysql_model, PredictConfig(file=str(tmp_path / "texts.txt"), text_column="x"))
    standard_input(b"plain\n")
    with pytest.raises(StackbertError, match="line 1: columns are named, but this is not a JSON object"):
        predicted(mysql_model, PredictConfig(file="-", text_column="x"))
    with pytest.raises(StackbertError, match="title and body are read from a table in a file"):
        predicted(mysql_model, PredictConfig(file="-", title_column="x"))
    with pytest.raises(StackbertError, match="name either the column of whole texts, or title_column"):
        PredictConfig(file="x.csv", text_column="a", body_column="b")
    with pytest.raises(StackbertError, match="columns are those of a table"):
        PredictConfig(id_column="a")
