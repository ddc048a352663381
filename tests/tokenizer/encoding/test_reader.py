"""The reader encodes any text, and refuses folders without a usable tokenizer."""

import json
import random
import shutil
import sys
import unicodedata

import pytest

from stackbert.core.errors import StackbertError
from tokenizer.encoding.reader import TextReader, load_reader


@pytest.fixture(scope="module")
def reader(small_rows) -> TextReader:
    return load_reader(small_rows / "tokenizer")


def any_text(draw: random.Random, length: int) -> str:
    """Characters from all of Unicode, control characters and halves of surrogate pairs included."""
    planes = (0x80, 0x800, 0x10000, sys.maxunicode + 1)
    return "".join(chr(draw.randrange(draw.choice(planes))) for _ in range(length))


def test_any_unicode_gives_ids_in_range(reader):
    draw = random.Random(9)
    texts = [any_text(draw, draw.randrange(200)) for _ in range(500)]
    texts += [unicodedata.normalize(form, texts[0].encode("utf-8", "replace").decode()) for form in ("NFC", "NFKD")]
    found = list(reader.ids_without_specials(texts))
    assert len(found) == len(texts)
    unknown = sum(ids.count(reader.unknown_id) for ids in found) / sum(map(len, found))
    print(f"{sum(map(len, found)):,} tokens, {unknown:.1%} unknown")
    for ids in found:
        assert all(0 <= number < reader.vocab_size for number in ids)
        assert not set(ids) & (set(reader.special_ids) - {reader.unknown_id})


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        (" \n\t", 0),
        ("\x00", 0),
        ("a\x00b", 1),
        ("w" * 10_000, 1),
        ("\udc80", 1),
        ("numpy \ud800 numpy", 3),
    ],
)
def test_odd_texts(reader, text, tokens):
    (ids,) = reader.ids_without_specials([text])
    assert len(ids) >= bool(tokens)
    if text.startswith("w"):
        assert ids == [reader.unknown_id]  # longer than any word
    if not tokens:
        assert ids == []


@pytest.mark.parametrize("special", ["[MASK]", "[CLS]", "[SEP]", "[PAD]", "[UNK]"])
def test_special_token_written_in_a_text_is_encoded_as_text(reader, special):
    (ids,) = reader.ids_without_specials([f"numpy {special} numpy"])
    assert not set(ids) & (set(reader.special_ids) - {reader.unknown_id})
    assert ids[0] == ids[-1] == reader.tokenizer.token_to_id("numpy")
    assert len(ids) > 3


def test_offsets_rebuild_the_text(reader):
    text = "Connect MySQL, from node.js (c++)!"
    encoding = reader.tokenizer.encode(text, add_special_tokens=False)
    covered = [False] * len(text)
    for start, end in encoding.offsets:
        assert not any(covered[start:end])
        covered[start:end] = [True] * (end - start)
    assert all(done or character.isspace() for done, character in zip(covered, text, strict=True))


def test_texts_are_truncated_between_cls_and_sep(reader):
    long, short = reader.ids_for_classifier(["numpy " * 50, "numpy"], 8)
    numpy_id = reader.tokenizer.token_to_id("numpy")
    assert long == [reader.first_id, *[numpy_id] * 6, reader.last_id]
    assert short == [reader.first_id, numpy_id, reader.last_id]


def test_tokens_are_in_the_order_of_their_ids(reader, small_rows):
    assert reader.tokens() == (small_rows / "tokenizer" / "vocab.txt").read_text("utf-8").split("\n")[:-1]
    assert reader.special_ids == (0, 1, 2, 3, 4)


def test_folder_without_tokenizer_is_an_error(tmp_path):
    with pytest.raises(StackbertError, match=r"holds no tokenizer; looked for tokenizer.json, vocab.txt"):
        load_reader(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"model": 3, "added_tokens": []}', "\x00"])
def test_broken_tokenizer_file_is_an_error(content, small_rows, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(small_rows / "tokenizer", folder)
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(StackbertError, match="its tokenizer cannot be loaded"):
        load_reader(folder)


def test_tokenizer_without_a_mask_token_is_an_error(small_rows, tmp_path):
    folder = tmp_path / "maskless"
    shutil.copytree(small_rows / "tokenizer", folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["mask_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(StackbertError, match="names no mask token"):
        load_reader(folder)
