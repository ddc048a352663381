"""SentencePiece's models, converted to the tokenizers library."""

import json

import pytest
import sentencepiece

from tests.tokenizer.made_corpus import SENTENCES
from tokenizer.config import EncodeConfig, TokenizerConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.encoding.packed_rows import load_rows
from tokenizer.encoding.reader import load_reader
from tokenizer.vocabulary.sentencepiece_trainer import train_pieces, train_sentencepiece
from tokenizer.vocabulary.train import train_tokenizer


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def trained(request, posts, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param) / "tokenizer"
    train_tokenizer(posts, out, TokenizerConfig(vocab_size=200, model=request.param))
    return out


def test_terms_are_one_token_each_and_no_word_is_unknown(trained):
    reader = load_reader(trained)
    tokens = reader.tokenizer.encode("Connect MySQL (c#), asp.net, std::vector.", add_special_tokens=False).tokens
    assert {"\u2581connect", "\u2581mysql", "\u2581c#", "\u2581asp.net", "\u2581std::vector"} <= set(tokens)
    assert reader.unknown_id not in reader.tokenizer.encode(SENTENCES[0], add_special_tokens=False).ids


def test_special_tokens_have_their_ids_and_no_token_is_repeated(trained):
    reader = load_reader(trained)
    assert reader.special_ids == (0, 1, 2, 3, 4)
    assert len(set(reader.tokens())) == reader.vocab_size <= 200
    assert not (trained / "vocab.txt").exists()
    assert json.loads((trained / "manifest.json").read_text())["counts"]["tokens"] == reader.vocab_size


def test_auto_tokenizer_gives_the_ids_of_our_reader(trained):
    from transformers import AutoTokenizer

    theirs, reader = AutoTokenizer.from_pretrained(trained), load_reader(trained)
    texts = [*SENTENCES, "c++11, C++ and (c++)", "Unknown: \u4e2d 😀", ""]
    assert theirs(texts)["input_ids"] == reader.ids_for_classifier(texts, 512)


def test_rows_can_be_encoded(trained, posts, tmp_path):
    encode_rows(posts, trained, tmp_path / "rows", EncodeConfig(row_length=32, validation_share=0.1))
    assert len(load_rows(tmp_path / "rows", "train").ids) > 50


def test_bpe_splits_words_as_sentencepiece_does(tmp_path):
    words = {"connection": 50, "connected": 40, "connect": 30, "printing": 20, "printer": 10, "reprint": 5}
    table = tmp_path / "words.tsv"
    table.write_text("".join(f"{word}\t{count}\n" for word, count in words.items()))
    sentencepiece.SentencePieceTrainer.train(
        input=str(table),
        model_prefix=str(tmp_path / "theirs"),
        model_type="bpe",
        vocab_size=40,
        hard_vocab_limit=False,
        input_format="tsv",
        normalization_rule_name="identity",
        minloglevel=2,
    )
    ours = train_sentencepiece(words, [], TokenizerConfig(vocab_size=45, model="bpe"), lowercase=True)
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "theirs.model"))
    for word in [*words, "connector", "reprinting", "reconnect"]:
        assert ours.encode(word, add_special_tokens=False).tokens == theirs.encode(word, out_type=str)


def test_most_useful_pieces_come_first():
    pieces = train_pieces({"connection": 50, "connected": 40, "zq": 2}.items(), 60, "bpe")
    assert pieces.index("connect") < len(pieces)
    assert "zq" not in pieces[: pieces.index("connect")]
