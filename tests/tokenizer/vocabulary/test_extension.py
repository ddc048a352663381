"""A base's vocabulary, extended."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from corpora.post import Post
from stackbert.core.artifact import write_json
from stackbert.core.checkpoints import resolve_base
from stackbert.core.errors import StackbertError
from tests.tokenizer.made_corpus import write_corpus
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.reader import load_reader
from tokenizer.vocabulary.extension import BaseVocabulary, extend_vocabulary, read_base
from tokenizer.vocabulary.train import train_tokenizer

SPECIAL_ROWS = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BASE = [*SPECIAL_ROWS, *"myqlsnup", "##y", "##s", "##q", "##l", "my"]
WORDS = {"mysql": 9, "sql": 20, "numpy": 5, "my": 50}


def extended(**settings) -> list[str]:
    config = TokenizerConfig(extend="base", **settings)
    return extend_vocabulary(BaseVocabulary(BASE, True), WORDS, ["numpy"], config)


def test_unused_rows_are_filled_first_and_the_rest_is_appended():
    tokens = extended(extend_by=3)
    assert tokens[1:3] == ["numpy", "sql"]  # a term, then the word that saves most: 20 x 2 tokens
    assert tokens[len(BASE) :] == ["mysql"]
    assert [a for a, b in zip(tokens, BASE, strict=False) if a != b] == ["numpy", "sql"]


def test_no_more_tokens_are_added_than_configured_or_useful():
    assert extended(extend_by=1)[1:3] == ["numpy", "[unused1]"]
    assert set(extended(extend_by=100)) - set(BASE) == {"numpy", "sql", "mysql"}


def test_real_base_keeps_its_ids_and_encodes_the_domains_words_as_one_token(tmp_path):
    base = resolve_base("minilm")
    posts = [Post(str(n), "question", "connect node.js to postgresql with c++", "", ("node.js",)) for n in range(50)]
    write_corpus(tmp_path / "posts", posts)
    config = TokenizerConfig(extend="minilm", extend_by=20)
    train_tokenizer(tmp_path / "posts", tmp_path / "out", config, base)
    old, new = load_reader(base), load_reader(tmp_path / "out")
    assert new.special_ids == old.special_ids
    kept = [a == b for a, b in zip(old.tokens(), new.tokens(), strict=False)]
    assert sum(not same for same in kept) <= 20
    tokens = new.tokenizer.encode("Connect Node.js to PostgreSQL with C++", add_special_tokens=False).tokens
    assert tokens == ["connect", "node.js", "to", "postgresql", "with", "c++"]


def test_other_kinds_of_tokenizer_are_refused(tmp_path):
    tokenizer = Tokenizer(models.BPE({"<s>": 0, "<pad>": 1, "a": 2}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    roles = {f"{role}_token": "<s>" for role in ("unk", "cls", "sep", "mask")} | {"pad_token": "<pad>"}
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **roles})
    with pytest.raises(StackbertError, match=r"only a WordPiece vocabulary .* this is BPE"):
        read_base(Path(tmp_path))


def test_extension_and_another_model_do_not_go_together():
    with pytest.raises(StackbertError, match="goes with model 'wordpiece' only"):
        TokenizerConfig(extend="minilm", model="bpe")
