"""The report of tokenizers: its files, and a page that shows hostile text as text."""

import json
from pathlib import Path

import pytest

from corpora.post import Post
from stackbert.core.errors import StackbertError
from tests.pages import HOSTILE, Structure
from tests.tokenizer.made_corpus import write_corpus
from tokenizer.config import ReportConfig, TokenizerConfig
from tokenizer.report import report
from tokenizer.report.report import report_tokenizers
from tokenizer.vocabulary.train import train_tokenizer


def posts(folder: Path, texts: list[str]) -> Path:
    made = [
        Post(str(number), "question", text, "body; of {it}", (text[:30] or "tag",)) for number, text in enumerate(texts)
    ]
    return write_corpus(folder, made)


def test_all_formats_of_the_report_have_the_same_values(small_rows, tmp_path, capsys):
    tokenizers = {"base": small_rows / "tokenizer", "again": small_rows / "tokenizer"}
    report_tokenizers(small_rows / "corpus", tokenizers, tmp_path / "out", ReportConfig(max_posts=50, examples=2))
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    page, text = ((tmp_path / "out" / f"report.{kind}").read_text("utf-8") for kind in ("html", "md"))
    assert [row["name"] for row in found["rows"]] == ["base", "again"]
    for name, values in found["figures"]:
        assert values[0] == values[1]
        assert name in page and name in text and name in printed
        assert values[0] in page and values[0] in text and values[0] in printed
    assert found["tokenizers"]["base"] in page
    assert max(map(len, printed.splitlines())) <= 110


def test_same_input_gives_the_same_bytes(small_rows, tmp_path):
    for name in ("one", "two"):
        report_tokenizers(small_rows / "corpus", {"a": small_rows / "tokenizer"}, tmp_path / name, ReportConfig())
    for kind in ("json", "md", "html"):
        first, second = ((tmp_path / name / f"report.{kind}").read_bytes() for name in ("one", "two"))
        assert first == second


def test_validation_split_has_the_posts_of_the_encoded_validation_rows(small_rows, tmp_path):
    config = ReportConfig(split="validation", validation_share=0.1)
    manifest = report_tokenizers(small_rows / "corpus", {"a": small_rows / "tokenizer"}, tmp_path / "out", config)
    assert 0 < manifest.counts["posts"] < 100  # of 400


def test_hostile_text_and_names_are_shown_as_text(small_rows, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_plots", lambda rows: [])
    texts = [f"{text} ;;; {{}} () [] <>" for text in HOSTILE]
    harmless = [f"harmless {number} ;;; {{}} () [] <>" for number in range(len(HOSTILE))]
    config = ReportConfig(examples=len(HOSTILE))
    pages = []
    for name, given in (("hostile", texts), ("harmless", harmless)):
        label = HOSTILE[0] if name == "hostile" else "plain"
        corpus = posts(tmp_path / name, [text.encode("utf-8", "replace").decode() for text in given])
        report_tokenizers(corpus, {label: small_rows / "tokenizer"}, tmp_path / f"{name}-out", config)
        pages.append(Structure((tmp_path / f"{name}-out" / "report.html").read_text("utf-8")))
    kinds = [sorted(set(page.elements)) for page in pages]
    assert set(kinds[0]) <= {*kinds[1], ("span", ("class",)), ("/span", ())}
    assert any("default-src 'none'" in value for _, _, value in pages[0].attributes)
    assert "alert(1)" in pages[0].text


def test_no_tokenizer_or_no_post_is_an_error(small_rows, tmp_path):
    with pytest.raises(StackbertError, match="name at least one tokenizer"):
        report_tokenizers(small_rows / "corpus", {}, tmp_path / "out", ReportConfig())
    config = ReportConfig(split="validation", validation_share=1e-9, max_posts=1)
    with pytest.raises(StackbertError, match="no post of the split 'validation' was chosen"):
        report_tokenizers(small_rows / "corpus", {"a": small_rows / "tokenizer"}, tmp_path / "out", config)


def test_unknown_tokens_are_marked_for_every_model(small_rows, tmp_path):
    train_tokenizer(small_rows / "corpus", tmp_path / "unigram", TokenizerConfig(vocab_size=80, model="unigram"))
    corpus = posts(tmp_path / "corpus", ["漢字 [] {} () <> ;;; connect mysql"])
    report_tokenizers(corpus, {"a": tmp_path / "unigram"}, tmp_path / "out", ReportConfig())
    assert '<span class="word unknown">' in (tmp_path / "out" / "report.html").read_text("utf-8")
