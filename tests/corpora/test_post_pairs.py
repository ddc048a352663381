"""Accepted answers and duplicates: found across shards, and only where both posts are in the text."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from corpora.config import LabelConfig
from corpora.labels.label import build_labels
from corpora.post import Post, read_posts, shards, write_posts
from corpora.post_pairs import TextPair, open_pair_links, save_pair_links
from stackbert.core.artifact import build_artifact
from stackbert.core.errors import StackbertError
from tests.corpora.related_posts import MISSING, QUESTIONS, accepted, answer, original, related_corpus, title

SOURCES = ("answers", "duplicates")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return related_corpus(tmp_path_factory.mktemp("related"))


def pairs_of(posts: Path, folder: Path, sources: tuple = SOURCES) -> list[TextPair]:
    links = open_pair_links(save_pair_links(shards(posts), sources, folder))
    return [pair for post in read_posts(posts) for pair in links.pairs(post)]


def rewritten(posts: list[Post], folder: Path) -> Path:
    write_posts(posts, folder)
    return folder


def test_answers_that_were_accepted_are_paired_with_their_questions(corpus, tmp_path):
    assert len(shards(corpus)) > 3
    found = {pair.post_ids: (pair.title, pair.text) for pair in pairs_of(corpus, tmp_path, ("answers",))}
    assert found == {
        (str(n), str(1_000 + n)): (title(n), answer(n)) for n in range(QUESTIONS) if accepted(n) not in (None, MISSING)
    }


def test_duplicates_are_paired_with_what_they_are_duplicates_of(corpus, tmp_path):
    found = {pair.post_ids: (pair.title, pair.text) for pair in pairs_of(corpus, tmp_path, ("duplicates",))}
    assert found == {
        (str(n), str(original(n))): (title(n), title(original(n)))
        for n in range(QUESTIONS)
        if original(n) not in (None, MISSING)
    }


def test_what_is_gathered_does_not_grow_with_texts(corpus, tmp_path):
    links = open_pair_links(save_pair_links(shards(corpus), SOURCES, tmp_path))
    assert len(links.accepted_A) == sum(accepted(n) is not None for n in range(QUESTIONS))
    assert len(links.originals_D) == len(links.titles) == len({original(n) for n in range(QUESTIONS)}) - 2
    assert isinstance(links.accepted_A, np.memmap) and np.all(np.diff(links.originals_D.astype(object)) > 0)


@pytest.mark.parametrize("left_out", [{"0"}, {"1000"}, {"5", str(original(5))}])
def test_a_pair_of_which_a_post_was_left_out_is_none(left_out, corpus, tmp_path):
    before = pairs_of(corpus, tmp_path / "all")
    posts = [post for post in read_posts(corpus) if post.id not in left_out]
    after = pairs_of(rewritten(posts, tmp_path / "posts"), tmp_path / "links")
    expected = [pair for pair in before if left_out.isdisjoint(pair.post_ids)]
    assert len(expected) < len(before) and sorted(after) == sorted(expected)


def test_the_same_ids_on_another_site_are_other_posts(corpus, tmp_path):
    posts = list(read_posts(corpus))
    other = [replace(post, url=post.url.replace("a.org", "b.org")) for post in posts if post.kind == "answer"]
    questions = [post for post in posts if post.kind == "question"]
    found = pairs_of(rewritten([*questions, *other], tmp_path / "posts"), tmp_path / "links")
    assert {pair.source for pair in found} == {"duplicates"}


def test_the_same_ids_without_a_site_are_told_by_the_title(corpus, tmp_path):
    posts = [replace(post, url=None) for post in read_posts(corpus)]
    wrong = [replace(post, title="Another site's", text="of another") for post in posts if post.kind == "answer"]
    found = pairs_of(rewritten([*posts, *wrong], tmp_path / "posts"), tmp_path / "links", ("answers",))
    assert sorted(found) == sorted(pairs_of(corpus, tmp_path / "expected", ("answers",)))


def test_a_labelled_set_has_no_pair_with_a_test_post(corpus, tmp_path):
    build_labels([corpus], tmp_path / "labels", LabelConfig(num_labels=2))
    test = set(pq.read_table(tmp_path / "labels" / "test.parquet")["id"].to_pylist())
    found = pairs_of(tmp_path / "labels" / "pretraining", tmp_path / "links")
    assert {pair.source for pair in found} == set(SOURCES)
    assert not any(test.intersection(pair.post_ids) for pair in found)
    assert any(test.intersection(pair.post_ids) for pair in pairs_of(corpus, tmp_path / "all"))


@pytest.mark.parametrize("source", SOURCES)
def test_questions_alone_are_refused_with_advice(source, corpus, tmp_path):
    posts = [replace(post, duplicate_of=()) for post in read_posts(corpus) if post.kind == "question"]
    found = {"answers": f"has no answers among its {QUESTIONS} posts", "duplicates": "has no question that names one"}
    with pytest.raises(StackbertError, match=f"pair_sources '{source}' needs .*{found[source]}.* leave '{source}' out"):
        pairs_of(rewritten(posts, tmp_path / "posts"), tmp_path / "links", (source,))


def test_posts_of_which_none_accepted_an_answer_are_refused(corpus, tmp_path):
    posts = [replace(post, accepted_answer_id=None) for post in read_posts(corpus)]
    with pytest.raises(StackbertError, match=r"this text has no question with one\. Dumps have both"):
        pairs_of(rewritten(posts, tmp_path / "posts"), tmp_path / "links", ("answers",))


def test_duplicates_of_questions_that_are_elsewhere_are_refused(corpus, tmp_path):
    posts = [replace(post, duplicate_of=(str(MISSING),)) for post in read_posts(corpus) if post.kind == "question"]
    with pytest.raises(StackbertError, match="has none of the 1 questions that were named"):
        pairs_of(rewritten(posts, tmp_path / "posts"), tmp_path / "links", ("duplicates",))


@pytest.fixture
def older(corpus, tmp_path) -> Path:
    """The corpus as an earlier version built it."""

    def write(folder: Path) -> dict:
        for path in shards(corpus):
            pq.write_table(pq.read_table(path).drop_columns(["accepted_answer_id"]), folder / path.name)
        return {}

    build_artifact(tmp_path / "older", "corpora build", {}, {}, write)
    return tmp_path / "older"


def test_a_corpus_of_an_earlier_version_is_to_be_built_again(older, tmp_path):
    build_labels([older], tmp_path / "labels", LabelConfig(num_labels=2))
    for folder in (older, tmp_path / "labels" / "pretraining"):
        with pytest.raises(StackbertError, match=r"has no column accepted_answer_id.*build it again with 'stackbert"):
            pairs_of(folder, tmp_path / "links")
    assert pairs_of(tmp_path / "labels" / "pretraining", tmp_path / "links", ("duplicates",))
