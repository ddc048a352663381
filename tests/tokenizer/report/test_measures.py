"""Metrics of tokenizers, on texts with known values."""

from collections import Counter
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from corpora.post import Post
from stackbert.core.artifact import write_json
from tests.tokenizer.made_tokenizers import repeated_lines, wordpiece
from tokenizer.encoding.reader import TextReader, load_reader
from tokenizer.files.token_notation import BYTE_LEVEL_SPACE, SPECIALS
from tokenizer.report.measures import looks_like_code, measure, tag_is_whole, take_sample
from tokenizer.vocabulary.export import build_tokenizer, save_tokenizer

WORDS = "ab abba how to use with x , or ( ) ?".split()
TOKENS = [*SPECIALS, *"absxyz=", "##a", "##b", "##y", *WORDS]


def build_reader(folder: Path, terms: tuple[str, ...] = ()) -> TextReader:
    folder.mkdir()
    save_tokenizer(build_tokenizer(list(dict.fromkeys([*TOKENS, *terms])), terms, True), folder, True)
    return load_reader(folder)


def build_byte_level_reader(folder: Path) -> TextReader:
    """A byte-level vocabulary, in which a token includes the space before a word."""
    specials = {
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "cls_token": "<s>",
        "sep_token": "</s>",
        "mask_token": "<m>",
    }
    space = BYTE_LEVEL_SPACE
    tokens = [*specials.values(), *"abmxy", space, f"{space}m", f"{space}my", "ab", f"{space}b"]
    merges = [(space, "m"), (f"{space}m", "y"), ("a", "b"), (space, "b")]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **specials})
    return load_reader(folder)


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> TextReader:
    return build_reader(tmp_path_factory.mktemp("measures") / "ours")


def test_code_and_prose_are_separated_and_titles_of_answers_left_out():
    posts = [Post("1", "question", "ab", "xy abba\n\n  x = y\n  y = x"), Post("2", "answer", "", "zz", parent_id="1")]
    sample = take_sample(posts, Counter({"b": 2, "a": 2, "c": 1}), 2)
    assert sample.sections == {"titles": ["ab"], "prose": ["xy abba", "zz"], "code": ["  x = y\n  y = x"]}
    assert sample.tags == ["a", "b"]
    assert sample.words == {"ab": 1, "xy": 1, "abba": 1, "x": 2, "y": 2, "zz": 1}
    assert not looks_like_code("a list, of words")


def test_metrics_computed_by_hand(ours):
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
    knowing = build_reader(tmp_path / "knowing", ("c++",))
    assert tag_is_whole(knowing, "c++")
    assert not tag_is_whole(knowing, "c--")
    assert tag_is_whole(knowing, "x")  # though the text around has one of its own


def test_byte_level_words_are_measured_with_their_space(tmp_path, ours):
    theirs = build_byte_level_reader(tmp_path)
    found = measure(theirs, take_sample([Post("1", "question", "my my", "")], Counter(), 10), ours)
    assert found.distinct_words_whole == 1.0  # ' my' is one token
    assert 0 < found.shared_with_base < 1


def test_ids_without_a_token_are_not_counted_as_tokens(tmp_path):
    whole, holes = load_reader(wordpiece(tmp_path / "whole")), load_reader(repeated_lines(tmp_path / "holes"))
    sample = take_sample([Post("1", "question", "sort the rows", "of a table", ("numpy",))], Counter(["numpy"]), 5)
    found = measure(holes, sample, whole)
    assert found.vocab_size == holes.tokenizer.get_vocab_size() < holes.vocab_size
    assert found.shared_with_base == 1.0
    used = {number for ids in holes.ids_without_specials(sample.texts) for number in ids}
    assert found.vocabulary_used == len(used) / found.vocab_size
