"""Tags as targets: which are chosen, and which text of a row has which."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corpora.post import read_posts
from stackbert.core.artifact import load_manifest
from stackbert.core.errors import StackbertError
from tests.tokenizer.tagged import LABELS, tagged_set
from tokenizer.config import EncodeConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.encoding.packed_rows import PackedRows, load_rows, load_text_keys
from tokenizer.encoding.reader import load_reader
from tokenizer.encoding.tag_targets import TARGETS_FILE, choose_target_tags, contains_label, load_targets

CONFIG = EncodeConfig(row_length=32, validation_share=0.1, targets="tags", min_tag_posts=3)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    return tagged_set(tmp_path_factory.mktemp("tagged"))


@pytest.fixture(scope="module")
def rows(labelled, tokenizer, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("rows") / "rows"
    encode_rows(labelled, tokenizer, out, CONFIG)
    return out


def test_targets_are_the_frequent_tags_of_pretraining_posts_without_the_labels(labelled):
    counts = Counter(tag for post in read_posts(labelled / "pretraining") for tag in post.tags)
    chosen = choose_target_tags(labelled, CONFIG)
    assert chosen == {tag: posts for tag, posts in counts.items() if posts >= 3 and tag.lower() not in LABELS}
    assert list(chosen.values()) == sorted(chosen.values(), reverse=True)
    assert "Python" in counts and "rare" in counts, "a label in another case, and a tag on one post, were there to take"
    assert "python-2.7" in chosen


def test_variants_of_a_label_are_left_out_if_asked_for(labelled):
    chosen = choose_target_tags(labelled, replace(CONFIG, leave_out_variants=True))
    assert "python-2.7" not in chosen and "pythonic" in chosen


@pytest.mark.parametrize(
    ("tag", "label", "contained"),
    [
        ("asp.net-mvc", "asp.net", True),
        ("SQL-Server", "sql", True),
        ("mysql", "sql", False),
        ("c++11", "c++", True),
        ("objective-c", "c", True),
        ("css", "c", False),
        ("größe", "gr", False),
    ],
)
def test_a_tag_contains_a_label_as_a_word(tag, label, contained):
    assert contains_label(tag, label) == contained


def texts_with_tags(rows: PackedRows, tokenizer: Path) -> list[tuple[str, frozenset[str]]]:
    """Each text of the rows as the tokenizer decodes it, with its targets."""
    decode, found = load_reader(tokenizer).tokenizer.decode, []
    for number, row in enumerate(np.asarray(rows.ids)):
        texts, targets = rows.targets.load(np.array([number]))
        starts = np.flatnonzero(row == rows.first_id).tolist()
        for text, (start, end) in enumerate(zip(starts, [*starts[1:], len(row)], strict=True), 1):
            names = [rows.targets.names[target] for target in targets[0][texts[0] == text]]
            assert len(set(names)) == len(names) > 0
            found.append((decode(row[start:end].tolist()), frozenset(names)))
    return found


def expected(labelled: Path, tokenizer: Path, targets: tuple[str, ...]) -> Counter:
    """Text as it decodes, and targets, of each post that has any."""
    encoder = load_reader(tokenizer).tokenizer
    return Counter(
        (encoder.decode(encoder.encode(post.whole_text).ids), frozenset(own))
        for post in read_posts(labelled / "pretraining")
        if (own := set(post.tags) & set(targets))
    )


def test_each_text_has_the_tags_of_its_post(rows, labelled, tokenizer):
    train, validation = (load_rows(rows, split, with_targets=True) for split in ("train", "validation"))
    found = Counter(texts_with_tags(train, tokenizer)) + Counter(texts_with_tags(validation, tokenizer))
    assert found == expected(labelled, tokenizer, load_targets(rows / TARGETS_FILE))
    assert max(len(tags) for _, tags in found) > 1
    assert train.targets.max_texts == validation.targets.max_texts > 1
    assert load_manifest(rows).counts["targets"] == len(train.targets.names)


def test_every_sequence_of_a_long_post_has_its_tags_and_the_first_alone_can_be_kept(labelled, tokenizer, tmp_path):
    settings = replace(CONFIG, row_length=8)
    encode_rows(labelled, tokenizer, tmp_path / "cut", settings)
    encode_rows(labelled, tokenizer, tmp_path / "first", replace(settings, max_text_tokens=8))
    cut, first = (texts_with_tags(load_rows(tmp_path / name, "train", True), tokenizer) for name in ("cut", "first"))
    assert len(first) == load_manifest(tmp_path / "first").counts["train"]["texts"] < len(cut)
    assert not Counter(first) - Counter(cut)
    shares = [Counter(tags for _, tags in each) for each in (cut, first)]
    assert shares[0].keys() == shares[1].keys()


def test_keys_of_the_texts_are_kept(rows, labelled):
    count = sum(load_manifest(rows).counts[split]["texts"] for split in ("train", "validation"))
    assert len(load_text_keys(rows)) == count, "each post has another text"


def test_rows_without_targets_are_as_before(labelled, tokenizer, tmp_path):
    encode_rows(labelled, tokenizer, tmp_path / "rows", EncodeConfig(row_length=32, validation_share=0.1))
    assert sorted(path.name for path in (tmp_path / "rows").glob("*.bin")) == ["train.bin", "validation.bin"]
    assert load_rows(tmp_path / "rows", "train", with_targets=True).targets is None


def test_a_corpus_without_labels_is_refused(small_rows, tokenizer, tmp_path):
    with pytest.raises(StackbertError, match="targets 'tags' needs a labelled set"):
        encode_rows(small_rows / "corpus", tokenizer, tmp_path / "rows", CONFIG)
    assert not list(tmp_path.iterdir())


def test_a_set_with_too_few_other_tags_is_refused(labelled, tokenizer, tmp_path):
    with pytest.raises(StackbertError, match=r"0 tags outside its 2 labels stand on 9,999 posts or more"):
        encode_rows(labelled, tokenizer, tmp_path / "rows", replace(CONFIG, min_tag_posts=9_999))


def test_rows_do_not_depend_on_stops(rows, labelled, tokenizer, tmp_path, monkeypatch):
    from tokenizer.encoding.journal import RowsJournal

    finish = RowsJournal.finish
    monkeypatch.setattr(RowsJournal, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        encode_rows(labelled, tokenizer, tmp_path / "rows", CONFIG)
    monkeypatch.setattr(RowsJournal, "finish", finish)
    encode_rows(labelled, tokenizer, tmp_path / "rows", CONFIG)
    assert load_manifest(tmp_path / "rows").files == load_manifest(rows).files
    assert len([name for name in load_manifest(rows).files if name.endswith(".bin")]) == 8
