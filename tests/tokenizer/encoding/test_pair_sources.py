"""Pairs of two posts in rows: which are encoded, how they are split and counted."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from corpora.config import LabelConfig
from corpora.labels.label import build_labels
from corpora.post import Post, read_posts, shards, write_posts
from corpora.post_pairs import TextPair, open_pair_links, save_pair_links
from corpora.text_keys import text_keys
from stackbert.core.artifact import load_manifest
from stackbert.core.errors import StackbertError
from tests.corpora.related_posts import related_corpus
from tests.tokenizer.encoding.decoded_rows import pairs_in
from tests.tokenizer.tagged import paired_set
from tokenizer.config import EncodeConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.encoding.packed_rows import SPLITS, load_rows, load_text_keys
from tokenizer.encoding.pair_texts import has_pair
from tokenizer.encoding.reader import load_reader
from tokenizer.encoding.validation_split import is_validation_post

ALL = ("title-body", "answers", "duplicates")
CONFIG = EncodeConfig(row_length=256, validation_share=0.1, targets="pairs", pair_tokens=128, pair_sources=ALL)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("related")
    build_labels([related_corpus(folder)], folder / "labels", LabelConfig(num_labels=2, dev_share=0.1, test_share=0.1))
    return folder / "labels"


@pytest.fixture(scope="module")
def rows(labelled, tokenizer, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("rows") / "rows"
    encode_rows(labelled, tokenizer, out, CONFIG)
    return out


@pytest.fixture(scope="module")
def pairs(labelled, tmp_path_factory) -> list[TextPair]:
    """All pairs of the labelled set's text."""
    posts = labelled / "pretraining"
    links = open_pair_links(save_pair_links(shards(posts), ALL, tmp_path_factory.mktemp("links")))
    found = [pair for post in read_posts(posts) for pair in links.pairs(post)]
    own = [TextPair("title-body", (post.id,), post.title, post.text) for post in read_posts(posts) if has_pair(post)]
    return [*own, *found]


def is_validation(pair: TextPair) -> bool:
    return any(is_validation_post(each, CONFIG.validation_share) for each in pair.post_ids)


def test_rows_hold_the_pairs_of_all_sources(rows, pairs, tokenizer):
    reader = load_reader(tokenizer).tokenizer
    for split in SPLITS:
        texts = [(pair.title, pair.text) for pair in pairs if is_validation(pair) == (split == "validation")]
        expected = Counter(
            tuple(tuple(reader.encode(text, add_special_tokens=False).ids) for text in both) for both in texts
        )
        assert all(len(text) <= CONFIG.pair_tokens - 2 for both in expected for text in both), "none is truncated"
        assert pairs_in(rows, [split]) == expected and expected.total() > 10


def test_pairs_are_counted_by_source(rows, pairs, labelled, tokenizer, tmp_path, capsys):
    counts = load_manifest(rows).counts
    for split in SPLITS:
        own = Counter(pair.source for pair in pairs if is_validation(pair) == (split == "validation"))
        assert {source: counts[split][source] for source in ALL} == {source: own[source] for source in ALL}
        assert own.total() == counts[split]["texts"]
    train = counts["train"]
    encode_rows(labelled, tokenizer, tmp_path / "rows", CONFIG)
    assert (
        f"targets: {train['texts']:,} pairs, {train['title-body']} of title and body, {train['answers']} of question "
        f"and accepted answer, {train['duplicates']} of question and what it is a duplicate of, "
    ) in capsys.readouterr().out


def test_one_source_alone(labelled, pairs, tokenizer, tmp_path):
    encode_rows(labelled, tokenizer, tmp_path / "rows", replace(CONFIG, pair_sources=("answers",)))
    counts = load_manifest(tmp_path / "rows").counts
    assert sum(counts[split]["texts"] for split in SPLITS) == sum(pair.source == "answers" for pair in pairs)
    assert "title-body" not in counts["train"]


def test_only_rows_of_more_than_titles_and_bodies_may_share_texts(rows, labelled, tokenizer, tmp_path):
    encode_rows(labelled, tokenizer, tmp_path / "rows", replace(CONFIG, pair_sources=("title-body",)))
    assert not load_rows(tmp_path / "rows", "train").has_shared_texts
    assert load_rows(rows, "train").has_shared_texts
    assert set(load_manifest(tmp_path / "rows").counts["train"]).isdisjoint(ALL)


def test_keys_of_both_posts_are_kept(rows, pairs):
    keys = set(load_text_keys(rows).tolist())
    for source in ALL:
        pair = next(pair for pair in pairs if pair.source == source)
        for text in (pair.title, pair.text):
            assert int(text_keys([""], [text]).wholes_N[0]) in keys


def test_rows_depend_neither_on_stops_nor_on_processes(rows, labelled, tokenizer, tmp_path, monkeypatch):
    from tokenizer.encoding import encode
    from tokenizer.encoding.journal import RowsJournal

    append, written = RowsJournal.append, []

    def stop_at_the_third(journal, block):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(append(journal, block))

    monkeypatch.setattr(RowsJournal, "append", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        encode_rows(labelled, tokenizer, tmp_path / "rows", CONFIG)
    monkeypatch.setattr(RowsJournal, "append", append)
    monkeypatch.setattr(encode, "POSTS_WORTH_PROCESSES", 0)
    encode_rows(labelled, tokenizer, tmp_path / "rows", replace(CONFIG, processes=2))
    assert load_manifest(tmp_path / "rows").files == load_manifest(rows).files
    assert load_manifest(tmp_path / "rows").counts == load_manifest(rows).counts


def test_a_table_without_answers_is_refused(tokenizer, tmp_path):
    labelled = paired_set(tmp_path)
    with pytest.raises(StackbertError, match="pair_sources 'answers' needs answers and which of them were accepted"):
        encode_rows(labelled, tokenizer, tmp_path / "rows", replace(CONFIG, pair_sources=("answers",)))
    assert not (tmp_path / "rows").exists()


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (("replies",), "pair_sources: no source 'replies'; they are title-body, answers, duplicates"),
        ((), "pair_sources empty: name one or more, each once"),
        (("answers", "answers"), "pair_sources answers, answers: name one or more, each once"),
    ],
)
def test_sources_that_cannot_be_are_refused(sources, message):
    with pytest.raises(StackbertError, match=message):
        replace(CONFIG, pair_sources=sources)


def test_sources_and_other_settings_without_effect_are_told(labelled, tokenizer, tmp_path, capsys):
    assert not CONFIG.unused
    given = EncodeConfig(validation_share=0.1, pair_sources=ALL, pair_tokens=32, bag_tokens=9, min_tag_posts=3)
    encode_rows(labelled, tokenizer, tmp_path / "rows", given)
    printed = capsys.readouterr().out
    assert "pair_sources: no effect; used only with targets pairs\n" in printed
    assert "pair_tokens: no effect; used only with targets pairs or words\n" in printed
    assert "bag_tokens: no effect" in printed and "min_tag_posts: no effect" in printed


def test_duplicates_of_one_of_two_questions_with_an_id_are_refused(tokenizer, tmp_path):
    """Two corpora without a site: the title could be the other site's."""
    post = Post("2", "question", "How do I sort a list?", "With sort or not.", ("python",))
    posts = [[post, replace(post, id="1", title="How do I sort?", duplicate_of=("2",))], [replace(post, title="Other")]]
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder, own in zip(folders, posts, strict=True):
        write_posts(own, folder)
    paths = [path for folder in folders for path in shards(folder)]
    with pytest.raises(StackbertError, match=r"two questions without a site have the id 2, 'How do I.*site"):
        save_pair_links(paths, ("duplicates",), tmp_path / "links")
    save_pair_links(paths[:1], ("duplicates",), tmp_path / "links")
