"""Vocabularies of technical text in other languages: letters keep their marks, code words stay whole."""

import random
import unicodedata
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from corpora.post import Post
from tests.tokenizer.made_corpus import random_posts, write_corpus
from tests.tokenizer.made_languages import SENTENCES, language_posts
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.reader import load_reader
from tokenizer.vocabulary.base_steps import OUR_STEPS
from tokenizer.vocabulary.script_rules import choose_steps
from tokenizer.vocabulary.train import train_tokenizer

CONFIG = TokenizerConfig(vocab_size=600)
TERMS = ("node.js", "std::vector", "c++", "asp.net", "mysql", "utf-8")
MARKED = {"ru": "й ё", "ja": "が ポ", "pt": "ã ç", "ar": "أ", "hi": "हिन्दी में", "ko": "한글"}


@pytest.fixture(scope="module", params=SENTENCES)
def language(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def trained(language, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(language)
    train_tokenizer(write_corpus(folder / "posts", language_posts(language)), folder / "out", CONFIG)
    return folder / "out"


def test_code_words_are_one_token_and_less_than_half_a_percent_is_unknown(language, trained):
    reader = load_reader(trained)
    text = " ".join(SENTENCES[language])
    tokens = reader.tokenizer.encode(text, add_special_tokens=False).tokens
    for term in TERMS:
        assert tokens.count(term) == text.lower().count(term) > 0, term
    assert tokens.count("[UNK]") < 0.005 * len(tokens)


def test_file_names_of_any_letters_have_the_ending_as_a_token(language, trained):
    text = " ".join(SENTENCES[language])
    if ".py" in text:
        assert ".py" in load_reader(trained).tokenizer.encode(text, add_special_tokens=False).tokens


def test_offsets_rebuild_the_text(language, trained):
    for text in SENTENCES[language]:
        offsets = load_reader(trained).tokenizer.encode(text, add_special_tokens=False).offsets
        spaces = [text[end:start] for (_, end), (start, _) in pairwise(offsets)]
        assert not "".join(spaces).strip()
        written = "".join(text[start:end] + space for (start, end), space in zip(offsets, [*spaces, ""], strict=True))
        assert written == text


def test_letters_keep_their_marks(language, trained):
    normalize = load_reader(trained).tokenizer.normalizer.normalize_str
    assert normalize(MARKED[language]) == MARKED[language]


def test_transformers_gives_the_same_ids(language, trained):
    from transformers import AutoTokenizer

    draw = random.Random(2)
    texts = [*SENTENCES[language], *("".join(draw.choices("".join(SENTENCES[language]), k=60)) for _ in range(50))]
    ids = AutoTokenizer.from_pretrained(trained)(texts, add_special_tokens=False)["input_ids"]
    assert ids == list(load_reader(trained).ids_without_specials(texts))


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_sentencepiece_s_models_keep_code_words_whole_too(model, language, tmp_path):
    posts = write_corpus(tmp_path / "posts", language_posts(language))
    train_tokenizer(posts, tmp_path / "out", replace(CONFIG, model=model))
    reader = load_reader(tmp_path / "out")
    text = " ".join(SENTENCES[language])
    tokens = reader.tokenizer.encode(text, add_special_tokens=False).tokens
    assert [tokens.count(f"\u2581{term}") for term in TERMS] == [text.lower().count(term) for term in TERMS]
    assert "[UNK]" not in tokens


def test_english_is_read_as_before(tmp_path):
    posts = write_corpus(tmp_path / "posts", [*random_posts(), Post("x", "question", "caf\u00e9 na\u00efve", "")])
    assert choose_steps(posts, CONFIG) == OUR_STEPS


def test_settings_overrule_what_the_text_suggests(tmp_path):
    japanese = write_corpus(tmp_path / "ja", language_posts("ja"))
    english = write_corpus(tmp_path / "en", random_posts())
    as_english = replace(CONFIG, accents="strip", script_runs="join")
    as_japanese = replace(CONFIG, accents="keep", script_runs="split")
    assert choose_steps(japanese, as_english) == OUR_STEPS
    assert choose_steps(english, as_japanese) == choose_steps(japanese, CONFIG) != OUR_STEPS


def test_decomposed_letters_count_as_marked(tmp_path):
    """As file systems write them: a letter, then its mark."""
    posts = [replace(post, text=unicodedata.normalize("NFD", post.text)) for post in language_posts("ru")]
    assert choose_steps(write_corpus(tmp_path / "posts", posts), CONFIG).keeps_accents


def test_tag_of_several_scripts_is_no_term_that_the_text_cannot_have(tmp_path):
    posts = [replace(post, tags=("c++", "\u30c7\u30fc\u30bfbase")) for post in language_posts("ja")]
    train_tokenizer(write_corpus(tmp_path / "posts", posts), tmp_path / "out", CONFIG)
    vocabulary = load_reader(tmp_path / "out").tokenizer.get_vocab()
    assert "c++" in vocabulary
    assert "\u30c7\u30fc\u30bfbase" not in vocabulary


def test_terms_that_end_in_a_mark_are_not_found_at_the_start_of_a_longer_word(tmp_path):
    posts = [
        Post(str(n), "question", "", "\u0915\u0940\u092e\u0924 \u0914\u0930 \u0915\u0940 c++", ("\u0915\u0940",))
        for n in range(9)
    ]
    train_tokenizer(write_corpus(tmp_path / "posts", posts), tmp_path / "out", replace(CONFIG, vocab_size=100))
    tokens = load_reader(tmp_path / "out").tokenizer.encode("\u0915\u0940\u092e\u0924 \u0915\u0940").tokens
    assert tokens == ["[CLS]", "\u0915\u0940\u092e\u0924", "\u0915\u0940", "[SEP]"]
