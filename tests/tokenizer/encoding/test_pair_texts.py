"""Pairs of a title and a body: which posts have one, and how rows hold them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corpora.post import Post, read_posts
from corpora.text_keys import text_keys
from stackbert.core.artifact import load_manifest
from stackbert.core.errors import StackbertError
from tests.tokenizer.encoding.decoded_rows import pairs_in
from tests.tokenizer.tagged import paired_set
from tokenizer.config import EncodeConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.encoding.packed_rows import SPLITS, load_rows, load_text_keys
from tokenizer.encoding.pair_texts import encode_pairs, has_pair
from tokenizer.encoding.reader import load_reader

CONFIG = EncodeConfig(row_length=64, validation_share=0.1, targets="pairs", pair_tokens=16)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    return paired_set(tmp_path_factory.mktemp("paired"))


@pytest.fixture(scope="module")
def rows(labelled, tokenizer, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("rows") / "rows"
    encode_rows(labelled, tokenizer, out, CONFIG)
    return out


def test_each_post_with_title_and_body_is_a_pair_of_a_row(rows, labelled, tokenizer):
    reader = load_reader(tokenizer).tokenizer
    posts = [post for post in read_posts(labelled / "pretraining") if post.text and post.kind == "question"]
    expected = Counter(
        tuple(tuple(reader.encode(text, add_special_tokens=False).ids) for text in (post.title, post.text))
        for post in posts
    )
    assert all(len(text) <= CONFIG.pair_tokens - 2 for pair in expected for text in pair), "none is truncated"
    assert pairs_in(rows) == expected
    assert len(posts) < sum(1 for _ in read_posts(labelled / "pretraining")), "there were posts without a pair"
    counts = load_manifest(rows).counts
    assert sum(counts[split]["texts"] for split in SPLITS) == len(posts)


def test_most_pairs_of_a_row_are_those_of_both_splits(rows):
    of_rows = [(np.asarray(load_rows(rows, split).ids) == 2).sum(1).max() for split in SPLITS]
    for split in SPLITS:
        assert load_rows(rows, split).first_id == 2
        assert load_rows(rows, split).max_pairs == max(of_rows) // 2 > 1


def test_both_texts_are_truncated(rows, labelled, tokenizer, tmp_path):
    encode_rows(labelled, tokenizer, tmp_path / "short", replace(CONFIG, pair_tokens=5))
    short, whole = pairs_in(tmp_path / "short"), pairs_in(rows)
    assert {len(text) for pair in short for text in pair} <= {1, 2, 3}
    beginnings = {(title[:one], body[:other]) for title, body in whole for one in (1, 2, 3) for other in (1, 2, 3)}
    assert short.keys() <= beginnings
    assert short.total() == whole.total()


@pytest.mark.parametrize(
    ("post", "found"),
    [
        (Post("1", "question", "a title", "a body"), True),
        (Post("1", "document", "a title", "a body"), True),
        (Post("1", "question", "a title", " \n"), False),
        (Post("1", "question", "", "a body"), False),
        (Post("1", "answer", "its question's title", "a body"), False),
    ],
)
def test_a_pair_is_a_title_and_a_body_of_its_own(post, found):
    assert has_pair(post) is found


def test_a_post_of_which_no_token_is_left_has_no_pair(tokenizer):
    reader = load_reader(tokenizer)
    posts = [Post("1", "question", "\u200b", "mysql"), Post("2", "question", "mysql", "numpy")]
    pairs, numbers, ids = encode_pairs(posts, reader, 8, np.dtype("<u2"))
    assert len(pairs) == 1 and numbers == [1] and len(ids) >= 3
    assert (pairs[0] == reader.first_id).sum() == (pairs[0] == reader.last_id).sum() == 2


def test_keys_of_titles_bodies_and_whole_posts_are_kept(rows, labelled):
    keys = set(load_text_keys(rows).tolist())
    post = next(post for post in read_posts(labelled / "pretraining") if post.text and post.kind == "question")
    for text in (post.title, post.text, post.whole_text):
        assert int(text_keys([""], [text.upper()]).wholes_N[0]) in keys


def test_rows_do_not_depend_on_stops(rows, labelled, tokenizer, tmp_path, monkeypatch):
    from tokenizer.encoding.journal import RowsJournal

    finish = RowsJournal.finish
    monkeypatch.setattr(RowsJournal, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        encode_rows(labelled, tokenizer, tmp_path / "rows", CONFIG)
    monkeypatch.setattr(RowsJournal, "finish", finish)
    encode_rows(labelled, tokenizer, tmp_path / "rows", CONFIG)
    assert load_manifest(tmp_path / "rows").files == load_manifest(rows).files
    assert sorted(path.name for path in rows.glob("*.bin")) == [
        "train.bin",
        "train.text_keys.bin",
        "validation.bin",
        "validation.text_keys.bin",
    ]


def test_a_corpus_without_labels_is_refused(small_rows, tokenizer, tmp_path):
    with pytest.raises(StackbertError, match="targets 'pairs' needs a labelled set"):
        encode_rows(small_rows / "corpus", tokenizer, tmp_path / "rows", CONFIG)
    assert not list(tmp_path.iterdir())


def test_a_row_that_cannot_hold_a_pair_is_refused():
    with pytest.raises(StackbertError, match="pair_tokens 33: a row of 64 must hold two texts; set row_length to 66"):
        replace(CONFIG, pair_tokens=33)
    with pytest.raises(StackbertError, match="max_text_tokens 48: targets 'pairs' has pair_tokens"):
        replace(CONFIG, max_text_tokens=48)
