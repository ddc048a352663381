"""A base's vocabulary, extended."""

import json
import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from corpora.post import Post
from stackbert.core.artifact import write_json
from stackbert.core.checkpoints import resolve_base
from stackbert.core.errors import StackbertError
from tests.paths import SHARED
from tests.tokenizer.made_corpus import write_corpus
from tests.tokenizer.made_tokenizers import (
    added_tokens,
    cased_wordpiece,
    lines,
    normalizer_sequence,
    padded_table,
    random_texts,
    repeated_lines,
    wordpiece,
    wordpiece_json,
    wordpiece_tokens,
)
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.reader import load_reader
from tokenizer.vocabulary import extension_size
from tokenizer.vocabulary.extension import BaseVocabulary, extend_vocabulary, read_base
from tokenizer.vocabulary.train import train_tokenizer

FIELD = SHARED / "field"
SPECIAL_ROWS = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BASE = [*SPECIAL_ROWS, *"myqlsnup", "##y", "##s", "##q", "##l", "my"]
WORDS = {"mysql": 9, "sql": 20, "numpy": 5, "my": 50}


def extended(**settings) -> list[str]:
    config = TokenizerConfig(extend="base", **settings)
    return extend_vocabulary(BaseVocabulary(BASE, True), WORDS, ["numpy"], config)[0]


def test_unused_rows_are_filled_first_and_the_rest_is_appended():
    tokens = extended(extend_by=3)
    assert tokens[1:3] == ["numpy", "sql"]  # a term, then the word that saves most: 20 x 2 tokens
    assert tokens[len(BASE) :] == ["mysql"]
    assert [a for a, b in zip(tokens, BASE, strict=False) if a != b] == ["numpy", "sql"]


def test_no_more_tokens_are_added_than_configured_or_useful():
    assert extended(extend_by=1)[1:3] == ["numpy", "[unused1]"]
    assert set(extended(extend_by=100)) - set(BASE) == {"numpy", "sql", "mysql"}


def test_auto_takes_words_and_terms_in_the_order_of_what_they_save(monkeypatch):
    monkeypatch.setattr(extension_size, "STEP", 1)
    config = TokenizerConfig(extend="base", extend_by="auto", extend_gain=0.2)
    tokens, steps = extend_vocabulary(BaseVocabulary(BASE, True), WORDS, ["numpy"], config)
    # 20 x 3 tokens of sql, 9 x 4 of mysql, 5 unknown, 50: of 151, 'sql' saves 40 and then 'mysql' 27, numpy nothing
    assert [step.tokens for step in steps][:3] == [151, 111, 84]
    assert set(tokens) - set(BASE) == {"sql", "mysql"}


def test_manifest_has_the_steps_that_decided_an_automatic_extension(tmp_path):
    base = wordpiece(tmp_path / "base")
    counts = json.loads((extended_of(base, tmp_path, extend_by="auto") / "manifest.json").read_text())["counts"]
    first, *_, last = counts["extension"]
    assert first["saved"] is None
    assert first["tokens"] > last["tokens"]
    assert counts["tokens"] == load_reader(base).vocab_size + last["added"]


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


DOMAIN = [
    Post(
        str(n),
        "question",
        "Why kubectl rollouts FAIL on Caf\u00e9 servers: don't",
        "kubectl c++ user_id\u2019s",
        ("c++",),
    )
    for n in range(60)
]
STEPS = {
    "uncased": [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()],
    "compatible": [normalizers.NFKC(), normalizers.Lowercase()],
    "replacing": [normalizers.Replace("\u2019", "'"), normalizers.Replace("u", "o"), normalizers.Lowercase()],
    "cased": [normalizers.NFC(), normalizers.Strip()],
    "nested": [
        normalizers.Sequence([normalizers.NFKD()]),
        normalizers.BertNormalizer(clean_text=False, lowercase=True),
    ],
}
SPLITTERS = {
    "bert": pre_tokenizers.BertPreTokenizer(),
    "words": pre_tokenizers.Whitespace(),
    "punctuation": pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]),
    "spaces": pre_tokenizers.WhitespaceSplit(),
}


def extended_of(base: Path, tmp_path: Path, **settings) -> Path:
    write_corpus(tmp_path / "posts", DOMAIN)
    config = TokenizerConfig(extend=str(base), validation_share=0.0, **settings)
    train_tokenizer(tmp_path / "posts", tmp_path / "extended", config, base)
    return tmp_path / "extended"


def with_splitter(folder: Path, splitter: pre_tokenizers.PreTokenizer) -> Path:
    path = folder / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.pre_tokenizer = splitter
    tokenizer.save(str(path))
    return folder


@pytest.mark.parametrize("splitter", SPLITTERS)
@pytest.mark.parametrize("steps", STEPS)
def test_normalizer_and_pre_tokenizer_of_any_kind_are_kept(steps, splitter, tmp_path):
    base = with_splitter(normalizer_sequence(tmp_path / "base", STEPS[steps]), SPLITTERS[splitter])
    old, new = load_reader(base), load_reader(extended_of(base, tmp_path, extend_by=60))
    for text in random_texts(seed=4, number=200):
        assert new.tokenizer.normalizer.normalize_str(text) == old.tokenizer.normalizer.normalize_str(text)
    if splitter != "bert":  # ours takes the place of BERT's
        assert new.tokenizer.pre_tokenizer.__getstate__() == old.tokenizer.pre_tokenizer.__getstate__()
    assert new.tokens()[: old.vocab_size] == old.tokens()
    assert new.special_ids == old.special_ids
    (ids,) = new.ids_without_specials(["kubectl KUBECTL kubectl"])
    whole = new.tokenizer.normalizer.normalize_str("kubectl")
    assert ids[0] == ids[-1] == new.tokenizer.token_to_id(whole)  # counted as the normalizer reads it


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_no_text_that_the_base_reads_becomes_unknown(splitter, tmp_path):
    base = with_splitter(normalizer_sequence(tmp_path / "base"), SPLITTERS[splitter])
    old, new = load_reader(base), load_reader(extended_of(base, tmp_path, extend_by=60))
    texts = random_texts(seed=5)
    for text, before, after in zip(texts, *(reader.ids_without_specials(texts) for reader in (old, new)), strict=True):
        assert old.unknown_id in before or new.unknown_id not in after, text


def test_added_tokens_keep_their_ids_and_are_still_found(tmp_path):
    base = added_tokens(tmp_path / "base")
    old, new = load_reader(base), load_reader(extended_of(base, tmp_path, extend_by=60))
    text = "Machine learning, machine learning and tls-handshake"
    for token in ("machine learning", "tls-handshake", "DataFrame"):
        assert new.tokenizer.token_to_id(token) == old.tokenizer.token_to_id(token)
    for reader in (old, new):
        tokens = reader.tokenizer.encode(text, add_special_tokens=False).tokens
        assert tokens.count("machine learning") == 2
        assert tokens[-1] == "tls-handshake"


@pytest.mark.parametrize("form", [added_tokens, repeated_lines, padded_table, cased_wordpiece, wordpiece_json])
def test_extended_vocabulary_holds_the_base_s_under_its_ids(form, tmp_path):
    base = form(tmp_path / "base")
    old, new = load_reader(base), load_reader(extended_of(base, tmp_path, extend_by=60))
    assert new.tokens()[: old.vocab_size] == old.tokens()
    assert new.vocab_size > old.vocab_size
    expected = json.loads((base / "tokenizer_config.json").read_text()) if form is wordpiece_json else {}
    found = json.loads((tmp_path / "extended" / "tokenizer_config.json").read_text())
    assert found["model_max_length"] == expected.get("model_max_length", found["model_max_length"])


def test_vocab_txt_is_not_written_where_its_lines_would_not_be_ids(tmp_path):
    extended = extended_of(repeated_lines(tmp_path / "base"), tmp_path, extend_by=60)
    assert not (extended / "vocab.txt").exists()
    absent = load_reader(tmp_path / "base").absent_ids
    assert absent and set(absent) <= set(load_reader(extended).absent_ids)


def test_template_of_the_base_is_kept(tmp_path):
    base = normalizer_sequence(tmp_path / "base")
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    sep, cls = (tokenizer.token_to_id(name) for name in ("[SEP]", "[CLS]"))
    template = {"single": "[CLS] $A [SEP] [SEP]", "pair": "[CLS] $A [SEP] $B:1 [SEP]:1"}
    tokenizer.post_processor = processors.TemplateProcessing(
        **template, special_tokens=[("[SEP]", sep), ("[CLS]", cls)]
    )
    tokenizer.save(str(base / "tokenizer.json"))
    new = load_reader(extended_of(base, tmp_path, extend_by=60)).tokenizer
    assert new.encode("the table").tokens == ["[CLS]", "the", "table", "[SEP]", "[SEP]"]


@pytest.mark.parametrize(
    ("splitter", "steps", "named"),
    [
        (pre_tokenizers.Metaspace(), None, "Metaspace"),
        (pre_tokenizers.ByteLevel(), None, "ByteLevel"),
        (None, None, "no pre-tokenizer"),
        (pre_tokenizers.Whitespace(), [normalizers.Prepend("\u2581")], "Sequence, Whitespace"),
        (pre_tokenizers.Whitespace(), [normalizers.Replace(" ", "_")], "Sequence, Whitespace"),
    ],
)
def test_base_that_does_not_read_each_word_alike_is_refused(splitter, steps, named, tmp_path):
    base = normalizer_sequence(tmp_path / "base", steps)
    path = base / "tokenizer.json"
    components = json.loads(path.read_text()) | {"pre_tokenizer": None}
    vocabulary = components["model"]["vocab"]
    marked = [mark + word for mark in ("\u2581", "\u0120") for word in list(vocabulary) if word.isalpha()]
    components["model"]["vocab"] = vocabulary | {token: n for n, token in enumerate(marked, len(vocabulary))}
    path.write_text(json.dumps(components))
    (base / "config.json").unlink()
    if splitter:
        with_splitter(base, splitter)
    with pytest.raises(StackbertError, match=named):
        read_base(base)


def test_too_few_new_tokens_for_punctuation_inside_words_are_refused(tmp_path):
    tokens = [token for token in wordpiece_tokens() if not re.fullmatch(r"##\W", token)]
    base = wordpiece(tmp_path / "base", **{"vocab.txt": lines(tokens)})
    with pytest.raises(StackbertError, match=r"extend_by 3: the base lacks \d+ characters of punctuation"):
        extended_of(base, tmp_path, extend_by=3)
    new = load_reader(extended_of(base, tmp_path, extend_by=40))
    (ids,) = new.ids_without_specials(["don't (print) user_id 3.5.1;"])
    assert new.unknown_id not in ids


def test_base_with_other_names_of_special_tokens_is_refused(tmp_path):
    settings = {"tokenizer_class": "BertTokenizer", "cls_token": "[SEP]"}
    base = wordpiece(tmp_path / "base", **{"tokenizer_config.json": settings})
    with pytest.raises(StackbertError, match=r"its special tokens are .*; only a base with \[PAD\]"):
        read_base(base)


@pytest.mark.skipif(not FIELD.is_dir(), reason="needs the field's cases")
def test_case_of_the_field_with_a_sequence_of_normalizers_stays_uncased(tmp_path):
    base = FIELD / "normalizer_sequence" / "base"
    new = load_reader(extended_of(base, tmp_path, extend_by=60))
    for word in ("Why", "WHY", "why"):
        assert list(new.ids_without_specials([word])) == list(load_reader(base).ids_without_specials(["why"]))
