"""The characters that a vocabulary has tokens for, and what is said of the others."""

from collections import Counter
from dataclasses import replace

import pytest

from corpora.post import Post
from stackbert.core.errors import StackbertError
from tests.tokenizer.made_corpus import write_corpus
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.reader import load_reader
from tokenizer.vocabulary.alphabet import LetterCounts, choose_alphabet
from tokenizer.vocabulary.train import train_tokenizer

CONFIG = TokenizerConfig(vocab_size=2_000)


def letters_of(words: dict[str, int]) -> LetterCounts:
    letters = LetterCounts()
    for word, count in words.items():
        letters.add(word, count)
    return letters


def chinese(number: int, count: int = 2) -> dict[str, int]:
    return {chr(0x4E00 + n): count for n in range(number)}


def test_letters_are_counted_where_they_stand():
    letters = letters_of({"abba": 1, "ab": 3})
    assert letters.first == Counter(a=4)
    assert letters.inside == Counter(b=5, a=1)


def test_more_characters_are_taken_until_the_text_is_covered():
    alphabet = choose_alphabet(chinese(1_000), LetterCounts(), replace(CONFIG, alphabet_coverage=0.9))
    assert len(alphabet.first) == 900
    assert not alphabet.continuing
    assert alphabet.coverage == 0.9
    assert choose_alphabet(chinese(1_000), LetterCounts(), CONFIG).coverage == 1.0


def test_no_more_than_alphabet_size_where_these_cover_the_text():
    words = {"abc": 1_000_000, **chinese(600, 1)}
    alphabet = choose_alphabet(words, LetterCounts(), replace(CONFIG, alphabet_size=3, alphabet_coverage=0.999))
    assert alphabet.first == ["a", "b", "c"]
    assert alphabet.continuing == ["##b", "##c"]


def test_characters_of_rare_words_count_where_they_are_needed():
    rare = letters_of({"\u0436\u0443\u043a": 1, "\u0443\u0436": 1})
    alphabet = choose_alphabet({"\u043a\u0443": 2}, rare, CONFIG)
    assert alphabet.first == ["\u0436", "\u043a", "\u0443"]
    assert alphabet.continuing == ["##\u0436", "##\u043a", "##\u0443"]
    assert alphabet.coverage == 1.0
    without = choose_alphabet({"\u043a\u0443": 2}, rare, replace(CONFIG, alphabet_coverage=0))
    assert (without.first, without.continuing) == (["\u043a", "\u0443"], ["##\u0443"])


def test_size_that_cannot_hold_the_characters_is_an_error():
    with pytest.raises(
        StackbertError, match=r"vocab_size 500 is too small for 1005 .*alphabet_coverage \(now 0.9995\)"
    ):
        choose_alphabet(chinese(1_000), LetterCounts(), replace(CONFIG, vocab_size=500))


def chinese_posts() -> list[Post]:
    """A thousand characters, each in one post only."""
    return [Post(str(n), "document", "", f"use {chr(0x4E00 + n)} in c++") for n in range(1_000)]


def test_characters_that_occur_once_have_tokens_and_the_figures_are_kept(tmp_path, capsys):
    posts = write_corpus(tmp_path / "posts", chinese_posts())
    made = train_tokenizer(posts, tmp_path / "out", replace(CONFIG, validation_share=0))
    vocabulary = load_reader(tmp_path / "out").tokenizer.get_vocab()
    assert sum(chr(0x4E00 + n) in vocabulary for n in range(1_000)) == 996  # of 9,000 characters, 4.5 may be others
    assert made.counts["unknown_share"] < 0.005
    assert made.counts["characters_covered"] >= 0.9995
    assert not made.counts["keeps_accents"]
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("model", ["wordpiece", "unigram", "bpe"])
def test_text_that_is_not_covered_is_a_warning_that_names_the_characters(model, tmp_path, capsys):
    posts = write_corpus(tmp_path / "posts", chinese_posts())
    config = replace(CONFIG, model=model, alphabet_coverage=0, validation_share=0)
    made = train_tokenizer(posts, tmp_path / "out", config)
    reader = load_reader(tmp_path / "out")
    ids = [number for post in chinese_posts() for number in next(iter(reader.ids_without_specials([post.text])))]
    assert made.counts["unknown_share"] == pytest.approx(ids.count(reader.unknown_id) / len(ids), abs=1e-6)
    assert made.counts["unknown_share"] > 0.1
    shown = capsys.readouterr().err
    assert "warning: " in shown
    assert "of the text's tokens are unknown, most often for lack of \u4e00 \u4e01 \u4e02" in shown
    assert "raise alphabet_coverage (now 0)" in shown


def test_extended_vocabulary_says_that_its_alphabet_is_the_base_s(tmp_path, capsys):
    base = write_corpus(tmp_path / "english", [Post(str(n), "document", "", "use it in c++ now") for n in range(50)])
    train_tokenizer(base, tmp_path / "base", replace(CONFIG, vocab_size=60))
    posts = write_corpus(tmp_path / "posts", chinese_posts())
    config = replace(CONFIG, extend=str(tmp_path / "base"), extend_by=40)
    train_tokenizer(posts, tmp_path / "out", config, tmp_path / "base")
    assert "the base's alphabet stays as it is" in capsys.readouterr().err
