"""Titles with the words of their bodies as targets: which posts have them, and how rows hold them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corpora.post import Post, read_posts
from stackbert.core.artifact import load_manifest
from stackbert.core.errors import StackbertError
from tests.tokenizer.tagged import paired_set
from tokenizer.config import EncodeConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.encoding.packed_rows import SPLITS, load_rows, load_text_keys
from tokenizer.encoding.packing import segments_of
from tokenizer.encoding.pair_texts import encode_titles, has_pair
from tokenizer.encoding.reader import load_reader

CONFIG = EncodeConfig(row_length=64, validation_share=0.1, targets="words", pair_tokens=16)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    return paired_set(tmp_path_factory.mktemp("paired"))


@pytest.fixture(scope="module")
def rows(labelled, tokenizer, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("rows") / "rows"
    encode_rows(labelled, tokenizer, out, CONFIG)
    return out


def titles_in(folder: Path) -> Counter:
    """Token ids of each title, without [CLS] and [SEP], and its words."""
    found = Counter()
    for split in SPLITS:
        rows = load_rows(folder, split, with_targets=True)
        segments_RT = segments_of(rows.ids, rows.first_id, rows.padding_id)
        for number, (row, segments) in enumerate(zip(rows.ids, segments_RT, strict=True)):
            texts, words = (each[0] for each in rows.targets.load(np.array([number])))
            for text in range(1, segments.max() + 1):
                bag = words[texts == text].tolist()
                assert len(set(bag)) == len(bag) > 0
                found[tuple(row[segments == text][1:-1].tolist()), frozenset(bag)] += 1
    return found


def test_each_title_has_the_tokens_of_its_body(rows, labelled, tokenizer):
    reader = load_reader(tokenizer)
    encode, unknown = reader.tokenizer.encode, reader.unknown_id
    posts = [post for post in read_posts(labelled / "pretraining") if has_pair(post)]
    expected = Counter(
        (
            tuple(encode(post.title, add_special_tokens=False).ids),
            frozenset(encode(post.text, add_special_tokens=False).ids) - {unknown},
        )
        for post in posts
    )
    assert titles_in(rows) == expected
    assert len(posts) < sum(1 for _ in read_posts(labelled / "pretraining")), "there were posts without a body"
    train, validation = (load_rows(rows, split, with_targets=True).targets for split in SPLITS)
    assert train.names == () and train.num_texts + validation.num_texts == len(posts)
    assert train.max_texts == validation.max_texts > 1


def test_words_are_those_of_the_body_s_first_tokens(rows, labelled, tokenizer, tmp_path):
    encode_rows(labelled, tokenizer, tmp_path / "short", replace(CONFIG, bag_tokens=2))
    short, whole = titles_in(tmp_path / "short"), titles_in(rows)
    assert {len(bag) for _, bag in short} <= {1, 2}
    assert Counter(title for title, _ in short.elements()) == Counter(title for title, _ in whole.elements())


def test_special_tokens_are_no_words_and_a_post_without_any_is_left_out(tokenizer):
    reader = load_reader(tokenizer)
    posts = [
        Post("1", "question", "mysql", "numpy 日 numpy"),
        Post("2", "question", "mysql", "日"),
        Post("3", "question", "\u200b", "numpy"),
    ]
    found, ids = encode_titles(posts, reader, 8, 128, np.dtype("<u2"))
    assert len(found) == 1 and len(ids) >= 2
    (title, words), encode = found[0], reader.tokenizer.encode
    assert reader.unknown_id in encode(posts[0].text).ids, "there was one to leave out"
    assert words.dtype == np.uint32
    assert words.tolist() == sorted(set(encode("numpy", add_special_tokens=False).ids))
    assert title[0] == reader.first_id and title[-1] == reader.last_id


def test_keys_of_titles_bodies_and_whole_posts_are_those_of_pairs(rows, labelled, tokenizer, tmp_path):
    encode_rows(labelled, tokenizer, tmp_path / "pairs", replace(CONFIG, targets="pairs"))
    np.testing.assert_array_equal(load_text_keys(rows), load_text_keys(tmp_path / "pairs"))


def test_rows_do_not_depend_on_stops(rows, labelled, tokenizer, tmp_path, monkeypatch):
    from tokenizer.encoding.journal import RowsJournal

    with monkeypatch.context() as patch:
        patch.setattr(RowsJournal, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            encode_rows(labelled, tokenizer, tmp_path / "rows", CONFIG)
    encode_rows(labelled, tokenizer, tmp_path / "rows", CONFIG)
    assert load_manifest(tmp_path / "rows").files == load_manifest(rows).files


def test_a_corpus_without_labels_is_refused(small_rows, tokenizer, tmp_path):
    with pytest.raises(StackbertError, match="targets 'words' needs a labelled set"):
        encode_rows(small_rows / "corpus", tokenizer, tmp_path / "rows", CONFIG)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(StackbertError, match="pair_tokens 65: a row of 64 must hold a title; set row_length to 65"):
        replace(CONFIG, pair_tokens=65)
    with pytest.raises(StackbertError, match="max_text_tokens 48: targets 'words' has pair_tokens"):
        replace(CONFIG, max_text_tokens=48)
    with pytest.raises(StackbertError, match="bag_tokens 0"):
        replace(CONFIG, bag_tokens=0)
