"""The figures that tokenizers are judged by, on texts whose answers are known."""

from collections import Counter
from pathlib import Path

import pytest

from corpora.post import Post
from tests.pretrain.readers import roberta_reader
from tokenizer.encoding.reader import TextReader, load_reader
from tokenizer.report.measures import looks_like_code, measure, tag_is_whole, take_sample
from tokenizer.vocabulary.export import SPECIALS, build_tokenizer, save_tokenizer

WORDS = "ab abba how to use with x , or ( ) ?".split()
TOKENS = [*SPECIALS, *"absxyz=", "##a", "##b", "##y", *WORDS]


def reader(folder: Path, terms: tuple[str, ...] = ()) -> TextReader:
    folder.mkdir()
    save_tokenizer(build_tokenizer(list(dict.fromkeys([*TOKENS, *terms])), terms, True), folder, True)
    return load_reader(folder)


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> TextReader:
    return reader(tmp_path_factory.mktemp("measures") / "ours")


def test_code_is_told_from_prose_and_answers_titles_are_not_counted():
    posts = [Post("1", "question", "ab", "xy abba\n\n  x = y\n  y = x"), Post("2", "answer", "", "zz", parent_id="1")]
    sample = take_sample(posts, Counter({"b": 2, "a": 2, "c": 1}), 2)
    assert sample.parts == {"titles": ["ab"], "prose": ["xy abba", "zz"], "code": ["  x = y\n  y = x"]}
    assert sample.tags == ["a", "b"]
    assert sample.words == {"ab": 1, "xy": 1, "abba": 1, "x": 2, "y": 2, "zz": 1}
    assert not looks_like_code("a list, of words")


def test_figures_by_hand(ours):
    posts = [Post("1", "question", "AB abba", "xy a?")]  # xy is x ##y
    found = measure(ours, take_sample(posts, Counter({"ab": 1, "xy": 1}), 10), ours)
    assert found.bytes_per_token == {"titles": 7 / 2, "prose": 5 / 4, "code": None}
    assert found.tokens_per_word == {"titles": 1.0, "prose": 4 / 2, "code": None}
    assert found.distinct_words_whole == found.running_words_whole == 3 / 4  # ab, abba, a; not xy
    assert found.tags_whole == 1 / 2
    assert found.unknown_share == 0
    assert found.vocabulary_used == pytest.approx(6 / ours.vocab_size)
    assert found.texts_within == {"128": 1.0, "256": 1.0, "512": 1.0}
    assert found.shared_with_base == 1


def test_unknown_words_are_counted_and_not_whole(ours):
    found = measure(ours, take_sample([Post("1", "question", "ab qqq", "")], Counter(), 10), None)
    assert found.unknown_share == 1 / 2
    assert found.distinct_words_whole == 1 / 2
    assert found.tags_whole is None and found.shared_with_base is None


def test_a_term_is_whole_between_brackets_too(tmp_path):
    knowing = reader(tmp_path / "knowing", ("c++",))
    assert tag_is_whole(knowing, "c++")
    assert not tag_is_whole(knowing, "c--")
    assert tag_is_whole(knowing, "x")  # though the text around has one of its own


def test_byte_level_vocabulary_is_judged_with_its_space(tmp_path, ours):
    theirs = roberta_reader(tmp_path / "theirs")
    found = measure(theirs, take_sample([Post("1", "question", "my my", "")], Counter(), 10), ours)
    assert found.distinct_words_whole == 1.0  # ' my' is one token
    assert 0 < found.shared_with_base < 1
