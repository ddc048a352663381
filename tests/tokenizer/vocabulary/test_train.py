"""Vocabularies: their tokens, the same bytes at each run, and the same ids in transformers."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.post import Post, read_posts
from stackbert.core.errors import StackbertError
from tests.paths import ROOT
from tests.tokenizer.made_corpus import SENTENCES, write_corpus
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.reader import load_reader
from tokenizer.files.token_notation import SPECIALS
from tokenizer.vocabulary.train import build_vocabulary, train_tokenizer

TRAIN = """
import sys
from pathlib import Path
from tokenizer.config import TokenizerConfig
from tokenizer.vocabulary.train import train_tokenizer
train_tokenizer(Path(sys.argv[1]), Path(sys.argv[2]), TokenizerConfig(vocab_size=200))
"""
NUM_PROCESSES = 3  # each takes seconds to start


def lines(folder: Path) -> list[str]:
    return (folder / "vocab.txt").read_text("utf-8").split("\n")[:-1]


def test_special_tokens_come_first_and_no_token_is_repeated(trained):
    tokens = lines(trained)
    assert tuple(tokens[: len(SPECIALS)]) == SPECIALS
    assert len(tokens) == len(set(tokens)) <= 200
    assert {"mysql", "node.js", "c++", "c#", ".net", "asp.net", "std::vector"} <= set(tokens)


def test_terms_are_one_token_in_running_text(trained):
    reader = load_reader(trained)
    encoded = reader.tokenizer.encode("Connect MySQL (c#), asp.net and c++.", add_special_tokens=False)
    assert {"mysql", "c#", "asp.net", "c++", "."} <= set(encoded.tokens)


def test_processes_with_different_hash_seeds_and_threads_give_the_same_bytes(posts, trained, tmp_path):
    running = []
    for seed in range(NUM_PROCESSES):
        environment = os.environ | {
            "PYTHONHASHSEED": str(seed),
            "RAYON_NUM_THREADS": str(1 + seed % 2),
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-c", TRAIN, str(posts), str(tmp_path / str(seed))]
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
    assert [process.wait(120) for process in running] == [0] * NUM_PROCESSES
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        digests = [
            hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for folder in (trained, *(tmp_path / str(seed) for seed in range(NUM_PROCESSES)))
        ]
        assert len(set(digests)) == 1


def test_auto_tokenizer_gives_the_ids_of_our_reader(trained):
    from transformers import AutoTokenizer

    theirs, reader = AutoTokenizer.from_pretrained(trained), load_reader(trained)
    texts = [*SENTENCES, "c++11, C++ and (c++)", "Unknown: \u4e2d 😀", ""]
    assert theirs(texts)["input_ids"] == reader.ids_for_classifier(texts, 512)
    assert "c++" in theirs.tokenize("written in C++, of course")
    assert (theirs.pad_token_id, theirs.mask_token_id) == (0, 4)


def test_auto_tokenizer_gives_our_offsets(trained):
    from transformers import AutoTokenizer

    theirs, reader = AutoTokenizer.from_pretrained(trained), load_reader(trained)
    texts = [*SENTENCES, "Caf\u00e9, C++ and\n(c++)", ""]
    found = theirs(texts, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    assert found == [each.offsets for each in reader.tokenizer.encode_batch(texts, add_special_tokens=False)]


def test_auto_tokenizer_gives_token_types_for_a_pair_of_texts(trained):
    from transformers import AutoTokenizer

    encoded = AutoTokenizer.from_pretrained(trained)("mysql", "c++", return_token_type_ids=True)
    assert encoded["token_type_ids"] == [0, 0, 0, 1, 1]


def test_learned_pieces_spell_frequent_words_with_fewer_tokens_than_rare_ones():
    words = {"connection": 50, "connected": 40, "connect": 30, "zqxj": 2}
    tokens = build_vocabulary(words, [], TokenizerConfig(vocab_size=60))
    assert "connect" in tokens
    assert "zqxj" not in tokens[: tokens.index("connect")]


def test_rare_terms_get_no_token():
    words = {"c++": 1, "c#": 5, "plain": 5}
    tokens = build_vocabulary(words, ["c++", "c#"], TokenizerConfig(vocab_size=100, min_count=2))
    assert "c#" in tokens
    assert "c++" not in tokens


def test_more_distinct_characters_than_the_alphabet_holds_are_no_error():
    words = {chr(0x4E00 + number): 2 for number in range(500)} | {"common": 9}
    tokens = build_vocabulary(words, [], TokenizerConfig(vocab_size=300, alphabet_size=100, alphabet_coverage=0))
    assert "common" in tokens
    assert len([token for token in tokens if "\u4e00" <= token[-1] <= "\u9fff"]) <= 2 * 100


def test_vocabulary_too_small_for_its_alphabet_is_an_error(posts, tmp_path):
    with pytest.raises(StackbertError, match=r"vocab_size 20 is too small for \d+ special tokens"):
        train_tokenizer(posts, tmp_path / "out", TokenizerConfig(vocab_size=20))
    assert not (tmp_path / "out").exists()


def test_missing_corpus_is_an_error_that_names_the_command_to_make_one(tmp_path):
    with pytest.raises(StackbertError, match=r"nowhere: no such folder; .*'corpora build' or 'corpora label'"):
        train_tokenizer(tmp_path / "nowhere", tmp_path / "out", TokenizerConfig())
    (tmp_path / "empty").mkdir()
    with pytest.raises(StackbertError, match="not a finished output of stackbert; it should be"):
        train_tokenizer(tmp_path / "empty", tmp_path / "out", TokenizerConfig())


def test_tag_of_accents_only_is_ignored(tmp_path):
    posts = write_corpus(
        tmp_path / "corpus", [Post("1", "question", "some words to read, some words", "", ("\u0301",))]
    )
    train_tokenizer(posts, tmp_path / "out", TokenizerConfig(vocab_size=60))
    assert "some" in lines(tmp_path / "out")


def test_tag_is_one_token_even_if_the_text_never_contains_it(tmp_path):
    made = [Post(str(n), "question", "visual studio and its tools", "", ("visual-studio-2008",)) for n in range(9)]
    train_tokenizer(write_corpus(tmp_path / "corpus", made), tmp_path / "out", TokenizerConfig(vocab_size=150))
    tokens = load_reader(tmp_path / "out").tokenizer.encode("in visual-studio-2008?", add_special_tokens=False).tokens
    assert "visual-studio-2008" in tokens


@pytest.mark.parametrize("pieces", ["pruned", "bpe", "unigram"])
def test_every_algorithm_for_pieces_gives_a_vocabulary(pieces, posts, tmp_path):
    train_tokenizer(posts, tmp_path / "out", TokenizerConfig(vocab_size=150, pieces=pieces))
    tokens = lines(tmp_path / "out")
    assert len(tokens) == len(set(tokens)) <= 150
    assert "mysql" in tokens


def test_the_vocabulary_does_not_depend_on_the_order_of_posts(posts, trained, tmp_path):
    backwards = write_corpus(tmp_path / "backwards", list(read_posts(posts))[::-1])
    train_tokenizer(backwards, tmp_path / "out", TokenizerConfig(vocab_size=200))
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (trained / "tokenizer.json").read_bytes()
