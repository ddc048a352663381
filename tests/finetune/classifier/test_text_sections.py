"""Encoding of texts, as a whole or by sections."""

from dataclasses import replace

import pytest

from finetune.classifier.cleaned_text import clean_text
from finetune.classifier.text_sections import encode_texts, split_sections
from finetune.config import FinetuneConfig
from stackbert.core.errors import StackbertError
from tokenizer.encoding.reader import TextReader, load_reader

TEXT = "mysql rows\nsort the table\n```\nnumpy numpy numpy numpy\n```\nand print"


@pytest.fixture(scope="module")
def reader(tiny_base) -> TextReader:
    return load_reader(tiny_base)


def ids(reader: TextReader, text: str) -> list[int]:
    return next(reader.ids_without_specials([text]))


def test_without_budgets_a_text_is_truncated_as_a_whole(reader):
    config = FinetuneConfig(max_length=6)
    whole = ids(reader, TEXT)
    assert encode_texts([TEXT, "mysql"], reader, config) == (
        [[reader.first_id, *whole[:4], reader.last_id], [reader.first_id, *ids(reader, "mysql"), reader.last_id]],
        [len(whole) + 2, 3],
    )


def test_each_section_gets_its_budget_in_order(reader):
    sections = split_sections(TEXT)
    title, body, code = (ids(reader, text) for text in (sections.title, sections.body, sections.code))
    config = FinetuneConfig(max_length=100, title_tokens=1, body_tokens=2, code_tokens=3)
    uncut = len(title) + len(body) + len(code) + 2
    sequences, lengths = encode_texts([TEXT], reader, config)
    assert sequences == [[reader.first_id, *title[:1], *body[:2], *code[:3], reader.last_id]]
    assert lengths == [uncut]
    sequences, lengths = encode_texts([TEXT], reader, replace(config, title_tokens=0, body_tokens=1, code_tokens=0))
    assert sequences == [[reader.first_id, *title, *body[:1], *code, reader.last_id]]
    assert lengths == [uncut]
    roomy = replace(config, title_tokens=30, body_tokens=30, code_tokens=30)
    assert len(encode_texts([TEXT], reader, roomy)[0][0]) == uncut


def test_sections_without_a_budget_share_the_remaining_length(reader):
    sections = split_sections(TEXT)
    title, body, code = (ids(reader, text) for text in (sections.title, sections.body, sections.code))
    room = len(title) + 4
    config = FinetuneConfig(max_length=room + 2, code_tokens=3)
    sequences, _ = encode_texts([TEXT], reader, config)
    assert sequences == [[reader.first_id, *title, *body[:1], *code[:3], reader.last_id]]
    sequences, _ = encode_texts([TEXT], reader, replace(config, max_length=5))
    assert sequences == [[reader.first_id, *code[:3], reader.last_id]]
    with pytest.raises(StackbertError, match="together 4, but max_length 5 has room for 3"):
        replace(config, max_length=5, title_tokens=1)


@pytest.mark.parametrize(
    ("text", "title", "body", "code"),
    [
        ("title only", "title only", "", ""),
        ("t\nbody", "t", "body", ""),
        ("t\n```\na\n```\nb\n````\n```\nc\n````", "t", "\nb\n", "a\n\n```\nc\n"),
        ("t\nbefore\n```\nnever closed", "t", "before\n", "never closed"),
        ("t\nin `line` code ``` stays", "t", "in `line` code ``` stays", ""),
        ("", "", "", ""),
    ],
)
def test_texts_are_split_at_fences(text, title, body, code):
    sections = split_sections(text)
    assert (sections.title, sections.body, sections.code) == (title, body, code)


def test_cleaned_text_has_no_stop_words_digits_or_punctuation():
    assert clean_text("Why is MySQL 8.0 (InnoDB) so slow?!") == "mysql innodb slow"
    assert clean_text("¿Qué pasa?") == "qué pasa"
