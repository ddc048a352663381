"""Made-up posts: their language, their lengths, and the corpus that reads them."""

import itertools
from dataclasses import replace

import pytest

from corpora.build.build import build_corpus
from corpora.config import CorpusConfig
from corpora.post import read_posts
from stackbert.rehearsal.stand_in import LONG_EVERY, POSTS, stand_in_posts, write_stand_in

DUMP = CorpusConfig(source="dump", path="Posts.xml", code="mark", min_characters=30, site="a.b", min_score=3)
TABLE = CorpusConfig(source="table", path="t.csv", title_column="titre", delimiter="semicolon", languages=("fr",))


def test_posts_are_different_and_some_are_longer_than_encoders_read():
    for language in ("en", "fr"):
        posts = list(stand_in_posts(language))
        assert len({post["id"] for post in posts}) == len({post["body"] for post in posts}) == POSTS
        long = [post for post in posts if len(post["body"].split()) > 600]
        assert len(long) == POSTS // LONG_EVERY


def test_languages_are_different():
    english, french = (" ".join(post["body"] for post in stand_in_posts(language)) for language in ("en", "fr"))
    assert " which " in english and "é" not in english
    assert " les " in french and " the " not in french


def test_two_sources_do_not_repeat_each_other():
    bodies = [{post["body"] for post in stand_in_posts("en", seed)} for seed in (0, 1)]
    assert not bodies[0] & bodies[1]


@pytest.mark.parametrize(("config", "tagged"), [(DUMP, True), (TABLE, False), (replace(TABLE, tags_column="x"), True)])
def test_corpus_is_built_with_the_other_settings_as_they_were(config, tagged, tmp_path):
    found = write_stand_in(config, "fr", tmp_path / "posts.jsonl", 0)
    assert (found.code, found.min_characters, found.site) == (config.code, config.min_characters, config.site)
    manifest = build_corpus(tmp_path / "corpus", replace(found, processes=1))
    assert manifest.counts["kept"] == POSTS
    post = next(iter(read_posts(tmp_path / "corpus")))
    assert bool(post.tags) is tagged
    assert post.created
    assert "<p>" not in post.text


def test_tags_are_as_frequent_as_tag_prediction_needs():
    tags = list(itertools.chain.from_iterable(post["tags"] for post in stand_in_posts("en")))
    assert min(tags.count(tag) for tag in set(tags)) >= 10
