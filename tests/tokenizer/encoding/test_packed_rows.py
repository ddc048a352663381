"""Packed rows on disk decode to the posts, and name their tokenizer."""

import json
import shutil

import numpy as np
import pytest

from corpora.post import read_posts
from stackbert.core.errors import StackbertError
from tests.tokenizer.encoding.decoded_rows import decoded, sequences
from tokenizer.encoding.packed_rows import identify_tokenizer, load_rows
from tokenizer.encoding.reader import load_reader


def test_rows_decode_to_the_texts(small_rows):
    texts = sorted(post.whole_text for post in read_posts(small_rows / "corpus"))
    found = [decoded(small_rows / "rows", small_rows / "tokenizer", split) for split in ("train", "validation")]
    spelled = load_reader(small_rows / "tokenizer").tokenizer
    # the decoder's own joining of punctuation is applied to both sides
    expected = [spelled.decode(spelled.encode(text, add_special_tokens=False).ids) for text in texts]
    assert sorted(found[0] + found[1]) == sorted(expected)
    assert 0 < len(found[1]) < 0.2 * len(texts)


def test_counts_add_up(small_rows):
    layout = json.loads((small_rows / "rows" / "rows.json").read_text())
    texts = [post.whole_text for post in read_posts(small_rows / "corpus")]
    splits = [load_rows(small_rows / "rows", split) for split in ("train", "validation")]
    assert sum(rows.text_bytes for rows in splits) == sum(len(text.encode()) for text in texts)
    tokens = sum(len(ids) for split in ("train", "validation") for ids in sequences(small_rows / "rows", split))
    assert sum(rows.text_tokens for rows in splits) == tokens
    for rows, split in zip(splits, ("train", "validation"), strict=True):
        assert rows.ids.shape == (layout["splits"][split]["rows"], 32)
        assert rows.ids.dtype == np.uint16
        assert isinstance(rows.ids, np.memmap)
        assert (rows.ids != rows.padding_id).sum() == layout["splits"][split]["row_tokens"]


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "vocab.txt"])
def test_a_changed_byte_of_any_file_makes_another_tokenizer(name, small_rows, tmp_path):
    shutil.copytree(small_rows / "tokenizer", tmp_path / "copy")
    assert identify_tokenizer(tmp_path / "copy") == identify_tokenizer(small_rows / "tokenizer")
    path = tmp_path / "copy" / name
    path.write_bytes(path.read_bytes() + b" ")
    assert identify_tokenizer(tmp_path / "copy") != identify_tokenizer(small_rows / "tokenizer")


def test_rows_of_another_version_are_refused(small_rows, tmp_path):
    shutil.copytree(small_rows / "rows", tmp_path / "rows")
    layout = json.loads((tmp_path / "rows" / "rows.json").read_text())
    layout["splits"]["old"] = layout["splits"].pop("validation")
    (tmp_path / "rows" / "rows.json").write_text(json.dumps(layout))
    with pytest.raises(StackbertError, match=r"has splits train, old but no 'validation': .* encode again"):
        load_rows(tmp_path / "rows", "validation")
