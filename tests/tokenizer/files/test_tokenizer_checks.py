"""Folders from which transformers makes another tokenizer than their files describe are refused, and others are not."""

import contextlib
import json
import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer, normalizers

from stackbert.core.errors import StackbertError
from tests.paths import SHARED
from tests.tokenizer.made_tokenizers import (
    BERT_ROLES,
    SPECIALS,
    TEXTS,
    added_tokens,
    byte_level,
    byte_level_json,
    camembert,
    cased_wordpiece,
    config,
    lines,
    normalizer_sequence,
    padded_table,
    repeated_lines,
    wordpiece,
    wordpiece_json,
    wordpiece_tokens,
    write_files,
)
from tokenizer.encoding.reader import load_reader
from tokenizer.files.tokenizer_checks import check_known
from tokenizer.files.tokenizer_files import write_tokenizer

FIELD = SHARED / "field"
TOKENS = wordpiece_tokens()
WITHOUT_CLASS = r"nobody can tell the kind of vocab.txt alone; add the checkpoint's config.json"
OTHER_FILE = r"its \w+ reads vocab.txt or tokenizer.json, but the folder holds "
ENDED = "\n".join(TOKENS)


def refused(folder: Path, message: str) -> None:
    with pytest.raises(StackbertError, match=message) as error:
        load_reader(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_folder_is_named(tmp_path):
    refused(tmp_path / "none", "no such folder")


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "mpnet"])
def test_checkpoint_without_tokenizer_files_is_refused(family, tmp_path):
    refused(write_files(tmp_path / "base", {"config.json": config(family, 300)}), "holds no tokenizer; looked for ")


@pytest.mark.parametrize(
    "name", ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt"]
)
def test_settings_without_a_vocabulary_are_refused(name, tmp_path):
    files = {"config.json": config("bert", 300), name: json.dumps(BERT_ROLES)}
    refused(write_files(tmp_path / "base", files), "holds no tokenizer; looked for ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.txt", "\ufeff" + ENDED, r"vocab.txt:1: begins with a byte order mark"),
        ("vocab.txt", ENDED.encode("utf-16"), r"vocab.txt:1: byte 0xff is not UTF-8"),
        ("vocab.txt", (ENDED + "\ncaf\u00e9").encode("latin-1", "replace"), r"vocab.txt:\d+: byte 0xe9 is not UTF-8"),
        ("vocab.txt", "", r"vocab.txt: .* the file is empty"),
        (
            "tokenizer.json",
            "version https://git-lfs.github.com/spec/v1\n",
            r"json: is a pointer of Git LFS",
        ),
        ("sentencepiece.bpe.model", b"version https://git-lfs.github.com/spec/v1\n", r"model: is a pointer of Git LFS"),
        ("vocab.txt", lines(SPECIALS), "has special tokens only"),
        ("vocab.txt", lines([*SPECIALS, *(f"[unused{n}]" for n in range(40)), ""]), "has special tokens only"),
        ("vocab.txt", lines(TOKENS[:4] + TOKENS[5:]), r"lacks the special token \[MASK\]"),
        (
            "vocab.txt",
            lines([token for token in TOKENS if token not in ("[PAD]", "[SEP]")]),
            r"tokens \[PAD\], \[SEP\]",
        ),
        ("vocab.txt", lines(TOKENS).lower(), r"lacks the special tokens \[PAD\], \[UNK\], \[CLS\]"),
        ("vocab.txt", lines([*TOKENS, *(f"word{n}" for n in range(300))]), r"'word\d+' has the id 300, and 1\d+ more"),
        ("vocab.txt", lines(TOKENS[:30]), r"has 30 tokens, but config.json gives the word table 300 rows"),
        ("vocab.json", {"<s>": 0}, OTHER_FILE + "vocab.json"),
        ("spiece.model", b"\x00", OTHER_FILE + "spiece.model"),
        ("sentencepiece.bpe.model", b"\x00", OTHER_FILE + "sentencepiece.bpe.model"),
        ("tokenizer.json", "{", "its tokenizer cannot be loaded"),
        ("tokenizer.json", '{"version": "1.0"}', "its tokenizer cannot be loaded"),
    ],
)
def test_vocabulary_that_is_broken_or_another_s_is_refused(name, content, message, tmp_path):
    refused(write_files(tmp_path / "base", {"config.json": config("bert", 300), name: content}), message)


def test_vocab_txt_whose_kind_nobody_can_tell_is_refused(tmp_path):
    refused(write_files(tmp_path / "vocabulary", {"vocab.txt": ENDED}), WITHOUT_CLASS)


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_half_of_a_byte_pair_encoding_is_refused(missing, tmp_path):
    base = byte_level(tmp_path / "base")
    (base / missing).unlink()
    with pytest.raises(StackbertError, match=r"holds no tokenizer|cannot be loaded"):
        load_reader(base)


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(range(256))])
def test_broken_sentencepiece_model_is_refused(content, tmp_path):
    base = camembert(tmp_path / "base")
    (base / "sentencepiece.bpe.model").write_bytes(content)
    with pytest.raises(StackbertError, match="its tokenizer"):
        load_reader(base)


def test_added_token_that_has_another_token_s_id_is_refused_with_the_repeated_line(tmp_path):
    tokens = [*TOKENS, TOKENS[40]]
    added = {"machine learning": len(tokens)}
    files = {"config.json": config("bert", 300), "vocab.txt": lines(tokens), "added_tokens.json": added}
    base = write_files(tmp_path / "base", files)
    refused(
        base, rf"both have the id {len(TOKENS)}: .*vocab.txt:{len(tokens)} repeats {re.escape(repr(TOKENS[40]))} of"
    )


def test_added_token_beyond_the_word_table_is_refused(tmp_path):
    base = added_tokens(tmp_path / "base")
    write_files(base, {"config.json": config("bert", len(TOKENS) + 1)})
    refused(base, r"token 'tls-handshake' has the id \d+, and 1 more tokens, but config.json gives the word table")


@pytest.mark.parametrize("setting", [{"do_lower_case": False}, {"tokenize_chinese_chars": False}])
def test_class_that_reads_text_otherwise_than_tokenizer_json_is_refused(setting, tmp_path):
    base = wordpiece_json(tmp_path / "base")
    settings = json.loads((base / "tokenizer_config.json").read_text()) | setting
    write_files(base, {"tokenizer_config.json": settings})
    refused(base, "BertTokenizer does not read text as tokenizer.json does: .* set tokenizer_class")


def test_general_class_reads_tokenizer_json_as_it_is(tmp_path):
    base = wordpiece_json(tmp_path / "base")
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace("e", "a")])
    tokenizer.save(str(base / "tokenizer.json"))
    refused(base, "does not read text as tokenizer.json does")
    write_files(base, {"tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"} | BERT_ROLES})
    assert load_reader(base).tokenizer.encode("thE", add_special_tokens=False).tokens == ["t", "##h", "##a"]


@pytest.mark.parametrize(
    "make", [padded_table, repeated_lines, normalizer_sequence, cased_wordpiece, camembert, byte_level, wordpiece_json]
)
def test_usable_tokenizers_are_accepted(make, tmp_path):
    reader = load_reader(make(tmp_path / "base"))
    (ids,) = reader.ids_without_specials([TEXTS[0]])
    assert reader.unknown_id not in ids


@pytest.mark.parametrize("rows", [128, 192, 256, 512, 1024])
def test_word_table_that_is_rounded_up_is_accepted(rows, tmp_path):
    tokens = TOKENS[:100]
    base = wordpiece(tmp_path / "base", **{"config.json": config("bert", rows), "vocab.txt": lines(tokens)})
    assert load_reader(base).vocab_size == 100


def test_ids_of_a_vocabulary_with_holes(tmp_path):
    reader = load_reader(repeated_lines(tmp_path / "base"))
    written = (tmp_path / "base" / "vocab.txt").read_text("utf-8").split("\n")[:-1]
    assert reader.vocab_size == len(written) > reader.tokenizer.get_vocab_size()
    assert reader.absent_ids == (10, 21, 32)  # the first of two equal lines, as in BERT's own reading
    for number, token in enumerate(reader.tokens()):
        assert token == ("" if number in reader.absent_ids else written[number].strip())


def test_tokens_are_the_added_ones_as_written(tmp_path):
    reader = load_reader(added_tokens(tmp_path / "base"))
    assert reader.tokens()[-3:] == ["machine learning", "tls-handshake", "DataFrame"]


def test_added_tokens_that_move_are_told_and_written_under_the_ids_that_are_read(tmp_path, capsys):
    base = added_tokens(tmp_path / "base")
    size = len(TOKENS)
    write_files(base, {"added_tokens.json": {"machine learning": size + 1, "the": size + 2, "table": size + 3}})
    reader = load_reader(base)
    assert f"'machine learning' has the id {size}, not {size + 1}" in capsys.readouterr().err
    out = tmp_path / "out"
    out.mkdir()
    write_tokenizer(base, out)
    assert not (out / "added_tokens.json").exists()
    assert load_reader(out).tokens() == reader.tokens()
    assert "has the id" not in capsys.readouterr().err.replace(str(base), "")


def test_sentencepiece_model_of_another_language_is_read(tmp_path):
    """A tokenizer need not know English: its own words are what it must read."""
    greek = "\u03c0\u03ce\u03c2 \u03bd\u03b1 \u03c4\u03b1\u03be\u03b9\u03bd \u03c0\u03af\u03bd\u03b1\u03ba\u03b1"
    tokens = [*SPECIALS, *greek.split(), *sorted(set(greek)), *(f"##{letter}" for letter in sorted(set(greek)))]
    base = write_files(tmp_path / "base", {"config.json": config("bert", len(tokens)), "vocab.txt": lines(tokens)})
    write_files(base, {"tokenizer_config.json": {"strip_accents": False}})
    reader = load_reader(base)
    (ids,) = reader.ids_without_specials([greek])
    assert reader.unknown_id not in ids


def test_normalizer_that_does_not_fit_the_vocabulary_is_refused(tmp_path):
    """Upper-case words read in lower case, as where the settings of an uncased base lie beside a cased vocabulary."""
    words = ["SELECT", "FROM", "WHERE", *(f"T{chr(65 + n)}" for n in range(26))]
    tokens = [*SPECIALS, *words]
    base = write_files(tmp_path / "base", {"config.json": config("bert", len(tokens)), "vocab.txt": lines(tokens)})
    refused(base, r"29 of the 29 tokens of 'SELECT' and 28 more texts are \[UNK\]")
    write_files(base, {"tokenizer_config.json": {"do_lower_case": False}})
    assert load_reader(base).tokens() == tokens


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"])
@pytest.mark.parametrize(
    ("content", "message"), [("[]", "holds a list, not an object"), ("{\n]", r"not JSON: .* line 2 column 1")]
)
def test_settings_that_are_no_object_are_refused(name, content, message, tmp_path):
    base = wordpiece(tmp_path / "base", **{name: content})
    refused(base, rf"{name}: its tokenizer cannot be loaded: .*{message}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer_config.json", {"tokenizer_class": ["BertTokenizer", None]}, "tokenizer_class is .* the name of a"),
        ("tokenizer_config.json", {"do_lower_case": "false"}, 'do_lower_case is "false"; it must be true or false'),
        ("tokenizer_config.json", {"do_lower_case": None}, "do_lower_case is null; it must be true or false"),
        ("tokenizer_config.json", {"model_max_length": "512"}, 'model_max_length is "512"; it must be a number'),
        ("tokenizer_config.json", {"added_tokens_decoder": {"5": {"special": True}}}, "gives the id '5' no token"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"x": {"content": "c++"}}}, r"token 'c\+\+' the id \"x\""),
        ("added_tokens.json", {"c++": None}, r"token 'c\+\+' the id null"),
        ("added_tokens.json", {"c++": -1}, r"token 'c\+\+' the id -1"),
    ],
)
def test_settings_of_a_wrong_type_are_named(name, content, message, tmp_path):
    refused(wordpiece(tmp_path / "base", **{name: content}), rf"{name}: .*{message}")


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json"])
def test_settings_with_a_byte_order_mark_are_refused(name, tmp_path):
    refused(wordpiece(tmp_path / "base", **{name: "\ufeff{}"}), f"{name}: begins with a byte order mark")


def test_config_with_a_byte_order_mark_is_read(tmp_path):
    base = wordpiece(tmp_path / "base")
    write_files(base, {"config.json": "\ufeff" + (base / "config.json").read_text("utf-8")})
    assert load_reader(base).tokens() == TOKENS


@pytest.mark.parametrize("lines_left", [600, 800, 930])
def test_vocabulary_that_was_cut_off_is_refused(lines_left, tmp_path):
    tokens = [*TOKENS, *(f"word{number}" for number in range(1_101 - len(TOKENS)))]
    files = {"config.json": config("bert", len(tokens)), "vocab.txt": lines(tokens[:lines_left])}
    refused(wordpiece(tmp_path / "base", **files), f"has {lines_left} tokens, but config.json gives .* 1,101 rows")


def test_table_with_a_few_rows_more_than_the_vocabulary_is_accepted(tmp_path):
    """As that of multilingual MiniLM, which has 250,037 rows for 250,002 tokens."""
    base = wordpiece(tmp_path / "base", **{"config.json": config("bert", len(TOKENS) + 35)})
    assert load_reader(base).vocab_size == len(TOKENS)


@pytest.mark.parametrize("make", [byte_level, byte_level_json, camembert])
def test_padding_of_another_id_than_positions_are_counted_from_is_refused(make, tmp_path):
    base = make(tmp_path / "base")
    settings = json.loads((base / "config.json").read_text("utf-8"))
    write_files(base, {"config.json": settings | {"pad_token_id": 0}})
    refused(base, r"gives the padding the id 0 \(pad_token_id\), its tokenizer <pad> the id 1; positions are counted")


@pytest.mark.parametrize(
    ("tokens", "message"),
    [({"zzzz": 50}, "both have the id 50"), ({"zzzz": 2_000_000_000}, r"'zzzz' has the id 2,000,000,000")],
)
def test_ids_that_cannot_be_are_refused(tokens, message, tmp_path):
    base = byte_level(tmp_path / "base")
    vocabulary = json.loads((base / "vocab.json").read_text("utf-8")) | tokens
    write_files(base, {"vocab.json": vocabulary, "config.json": {"model_type": "roberta"}})
    refused(base, message)


def test_encoding_that_draws_lots_is_refused(tmp_path):
    base = byte_level_json(tmp_path / "base")
    components = json.loads((base / "tokenizer.json").read_text("utf-8"))
    components["model"]["dropout"] = 0.1
    names = dict(zip(BERT_ROLES, ("<pad>", "<unk>", "<s>", "</s>", "<mask>"), strict=True))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"} | names
    write_files(base, {"tokenizer.json": components, "tokenizer_config.json": settings})
    refused(base, "has dropout")


@pytest.mark.parametrize("name", ["NoSuchTokenizer", "Evil"])
def test_class_that_transformers_does_not_have_is_named(name, tmp_path):
    base = wordpiece(tmp_path / "base", **{"tokenizer_config.json": {"tokenizer_class": name}})
    refused(base, f"transformers has no fast tokenizer_class '{name}' that reads vocab.txt alone")


def test_text_that_is_mostly_unknown_is_refused():
    check_known(5, 10, "x")
    check_known(0, 0, "x")
    with pytest.raises(StackbertError, match="base on posts: 60% of the text's tokens are unknown"):
        check_known(6, 10, "base on posts")


def test_python_only_tokenizers_are_refused(tmp_path):
    base = wordpiece(tmp_path / "base", **{"tokenizer_config.json": {"tokenizer_class": "PhobertTokenizer"}})
    write_files(base, {"bpe.codes": "a b 1\n"})
    with pytest.raises(StackbertError, match=r"its tokenizer|its PhobertTokenizer reads"):
        load_reader(base)


def test_remote_code_is_not_run(tmp_path):
    settings = {"auto_map": {"AutoTokenizer": ["evil.Evil", None]}, "tokenizer_class": "Evil"}
    base = wordpiece(tmp_path / "base", **{"tokenizer_config.json": settings})
    write_files(base, {"evil.py": "raise SystemExit(9)"})
    with contextlib.suppress(StackbertError):
        load_reader(base)


@pytest.mark.skipif(not FIELD.is_dir(), reason="needs the field's cases")
@pytest.mark.parametrize(
    ("case", "tokens"),
    [("added_tokens_json", 224), ("camembert_sentencepiece_only", 405), ("vocab_txt_duplicates", 222)],
)
def test_cases_of_the_field_are_read_and_written(case, tokens, tmp_path):
    base = FIELD / case / "base"
    reader = load_reader(base)
    assert reader.tokenizer.get_vocab_size() == tokens
    write_tokenizer(base, tmp_path)
    assert load_reader(tmp_path).tokens() == reader.tokens()


@pytest.mark.skipif(not FIELD.is_dir(), reason="needs the field's cases")
def test_case_of_the_field_without_tokenizer_files_is_refused():
    refused(FIELD / "no_tokenizer_files" / "base", "holds no tokenizer")
