"""A share of other text: how many posts of each corpus are encoded."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corpora.config import LabelConfig
from corpora.labels.label import build_labels
from corpora.post import Post
from stackbert.core.artifact import load_manifest
from stackbert.core.errors import StackbertError
from tests.tokenizer.made_corpus import write_corpus
from tests.tokenizer.tagged import LABELS, tagged_posts
from tokenizer.config import EncodeConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.encoding.packed_rows import SPLITS, load_rows
from tokenizer.encoding.reader import load_reader
from tokenizer.encoding.tag_targets import choose_target_tags

CONFIG = EncodeConfig(row_length=32, validation_share=0.1)
POSTS, OTHER = 300, "numpy and numpy"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """Tagged questions, and as much other text, in which no question stands."""
    folder = tmp_path_factory.mktemp("weights")
    other = [Post(f"o{n}", "document", f"{OTHER} sort {n} in {n * 7 % POSTS}", "", ("far",)) for n in range(POSTS)]
    corpora = [write_corpus(folder / "questions", tagged_posts()), write_corpus(folder / "other", other)]
    build_labels(corpora, folder / "labels", LabelConfig(labels=LABELS, dev_share=0.1, test_share=0.1))
    return folder / "labels"


@pytest.fixture(scope="module")
def tokenizer(small_rows) -> Path:
    return small_rows / "tokenizer"


def texts(rows: Path, tokenizer: Path) -> Counter[str]:
    """The texts of both splits as the tokenizer decodes them."""
    reader, found = load_reader(tokenizer), Counter[str]()
    for split in SPLITS:
        for row in np.asarray(load_rows(rows, split).ids):
            pieces = np.split(row, np.flatnonzero(row == reader.first_id))[1:]
            found.update(reader.tokenizer.decode(piece.tolist()) for piece in pieces)
    return found


def encode(labelled: Path, tokenizer: Path, out: Path, **settings: object) -> Counter[str]:
    encode_rows(labelled, tokenizer, out, replace(CONFIG, **settings))
    return texts(out, tokenizer)


def num_other(found: Counter[str]) -> int:
    return sum(count for text, count in found.items() if text.startswith(OTHER))


def test_a_share_of_a_corpus_is_encoded_and_all_of_another(labelled, tokenizer, tmp_path):
    every = encode(labelled, tokenizer, tmp_path / "all")
    some = encode(labelled, tokenizer, tmp_path / "some", weights={"questions": 1.0, "other": 0.2})
    alone = encode(labelled, tokenizer, tmp_path / "alone", weights={"questions": 1.0})
    assert num_other(every) == POSTS and num_other(alone) == 0
    assert 30 < num_other(some) < 90, "a fifth of 300, by a hash"
    assert not some - every and not alone - some, "all questions are in both"
    assert load_manifest(tmp_path / "some").config["weights"] == {"questions": 1.0, "other": 0.2}


def test_a_larger_share_contains_the_smaller_one(labelled, tokenizer, tmp_path):
    small, large = (
        encode(labelled, tokenizer, tmp_path / str(share), weights={"other": share}) for share in (0.3, 0.6)
    )
    assert not small - large and num_other(small) < num_other(large)


def test_all_weights_of_one_are_the_rows_without_weights(labelled, tokenizer, tmp_path):
    encode(labelled, tokenizer, tmp_path / "plain", max_posts=300)
    encode(labelled, tokenizer, tmp_path / "ones", max_posts=300, weights={"questions": 1.0, "other": 1.0})
    plain, ones = (load_manifest(tmp_path / name) for name in ("plain", "ones"))
    assert plain.files == ones.files


def test_max_posts_counts_what_the_weights_leave(labelled, tokenizer, tmp_path):
    found = encode(labelled, tokenizer, tmp_path / "rows", max_posts=100, weights={"questions": 1.0, "other": 0.5})
    assert 60 < sum(found.values()) < 150
    assert 0 < num_other(found) < sum(found.values()) / 2


def test_tags_of_a_corpus_that_is_not_read_are_no_targets(labelled):
    config = replace(CONFIG, targets="tags", min_tag_posts=3)
    assert "far" in choose_target_tags(labelled, config)
    assert "far" not in choose_target_tags(labelled, replace(config, weights={"questions": 1.0}))


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"x": 1.5}, "weights: x 1.5: must be from 0 to 1"), ({"x": 0.0}, "weights: all are 0; give one corpus more")],
)
def test_weights_out_of_range_are_refused(weights, message):
    with pytest.raises(StackbertError, match=message):
        EncodeConfig(weights=weights)
