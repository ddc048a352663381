"""What tokens of each notation spell, and how a tokenizer of each kind spells it."""

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from tests.pretrain.readers import camembert_reader, roberta_reader, saved_reader, wordpiece_reader
from tests.tokenizer.made_tokenizers import (
    FORMS,
    albert,
    byte_level,
    camembert,
    cased_wordpiece,
    wordpiece,
    xlm_roberta,
)
from tokenizer.encoding.reader import TextReader, load_reader
from tokenizer.encoding.spelling import BYTE_LETTERS, Spelling, spell, spellings, with_guessed_space
from tokenizer.files.token_notation import SPECIALS


def spelled(reader: TextReader, *words: Spelling) -> list[list[str]]:
    return [[reader.tokenizer.id_to_token(number) for number in pieces] for pieces in spell(reader, words)]


def begins(text: str) -> Spelling:
    return Spelling(text.encode(), begins_word=True)


def continues(text: str) -> Spelling:
    return Spelling(text.encode(), begins_word=False)


def test_letters_of_bytes_are_the_library_s():
    assert sorted(BYTE_LETTERS) == sorted(pre_tokenizers.ByteLevel.alphabet())
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str
    for byte in range(0x80):
        assert split(chr(byte))[0][0] == BYTE_LETTERS[byte]
    assert split("\u00e9\u6f22")[0][0] == "".join(BYTE_LETTERS[byte] for byte in "\u00e9\u6f22".encode())


@pytest.mark.parametrize(
    ("form", "begin", "inside"),
    [(wordpiece, "t", "##t"), (byte_level, "\u0120t", "t"), (camembert, "\u2581", "t")],
)
def test_same_letters_are_the_same_spelling_in_each_notation(form, begin, inside, tmp_path):
    reader = load_reader(form(tmp_path / "files"))
    found = dict(zip(reader.tokens(), spellings(reader), strict=True))
    assert found[begin] == begins(begin.strip("\u0120\u2581"))
    assert found[inside] == continues("t")


@pytest.mark.parametrize("form", FORMS)
def test_a_vocabulary_spells_its_own_tokens_as_themselves(form, tmp_path):
    """Where its tokenizer ever gives them: pieces that it cannot reach are another spelling of the same letters."""
    reader = load_reader(FORMS[form](tmp_path / "files"))
    tokens, words = reader.tokens(), spellings(reader)
    reached = {
        number for pieces in reader.ids_without_specials(["sort the rows with numpy, printing"]) for number in pieces
    }
    for number in sorted(reached - set(reader.special_ids)):
        assert spelled(reader, words[number]) == [[tokens[number]]], tokens[number]


def test_parts_of_characters_are_spelled_by_bytes_or_not_at_all(tmp_path):
    half = Spelling("\u6f22".encode()[:2], begins_word=False)
    assert half.text is None
    bytes_of_half = [BYTE_LETTERS[byte] for byte in half.letters]
    assert spelled(load_reader(byte_level(tmp_path / "bytes")), half) == [bytes_of_half]
    assert spelled(load_reader(wordpiece(tmp_path / "words")), half) == [[]]
    assert spelled(load_reader(camembert(tmp_path / "pieces")), half) == [[]]


def with_byte_tokens(folder) -> TextReader:
    """A SentencePiece vocabulary that spells unknown characters by bytes."""
    folder.mkdir()
    pieces = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "\u2581",
        "\u2581my",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "<mask>",
    ]
    model = models.Unigram([(piece, -float(n)) for n, piece in enumerate(pieces)], unk_id=3, byte_fallback=True)
    tokenizer = load_tokenizer_of(model)
    return saved_reader(tokenizer, folder)


def load_tokenizer_of(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return tokenizer


def test_byte_tokens_of_sentencepiece_are_bytes(tmp_path):
    reader = with_byte_tokens(tmp_path / "files")
    half = Spelling("\u6f22".encode()[:2], begins_word=False)
    assert spelled(reader, half, continues("\u6f22")) == [["<0xE6>", "<0xBC>"], ["<0xE6>", "<0xBC>", "<0xA2>"]]
    found = dict(zip(reader.tokens(), spellings(reader), strict=True))
    assert found["<0xE6>"] == Spelling(b"\xe6", begins_word=False)
    assert found["\u2581my"] == begins("my")
    assert found["\u2581"] == begins("")


def test_lower_casing_tokenizer_spells_capitals(tmp_path):
    words = begins("NumPy"), continues("ING"), begins("CAF\u00c9")
    folded = spelled(load_reader(wordpiece(tmp_path / "lower")), *words)
    assert folded == [["numpy"], ["##ing"], ["c", "##a", "##f", "##e"]]
    assert spelled(load_reader(cased_wordpiece(tmp_path / "cased")), begins("Why"))[0] == ["Why"]
    albert_pieces = spelled(load_reader(albert(tmp_path / "albert")), begins("SORT"), begins("sort"))
    assert albert_pieces[0] == albert_pieces[1] != []


def test_punctuation_inside_a_word_is_spelled_as_the_tokenizer_splits_it(tmp_path):
    tokens = [*SPECIALS, *"ab()-_", *(f"##{c}" for c in "ab()-_"), "word"]
    ours, bert = wordpiece_reader(tokens, tmp_path / "ours"), wordpiece_reader(tokens, tmp_path / "bert")
    bert.tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    assert spelled(ours, continues("_ab"), continues("a)")) == [["##_", "##a", "##b"], ["##a", ")"]]
    assert spelled(bert, continues("_ab"), continues("a)")) == [["_", "a", "##b"], ["##a", ")"]]


def test_continuation_whose_letters_only_begin_words_is_spelled_as_a_word(tmp_path):
    reader = wordpiece_reader([*SPECIALS, "word", "##b", "c"], tmp_path / "files")
    assert spelled(reader, continues("b"), continues("c"), continues("z")) == [["##b"], ["c"], []]


def test_nothing_is_spelled_by_nothing(tmp_path):
    nothing = Spelling(b"", begins_word=False)
    for make in (roberta_reader, camembert_reader):
        assert spell(make(tmp_path / make.__name__), [nothing]) == [[]]
    assert spell(wordpiece_reader([*SPECIALS, "word"], tmp_path / "words"), [nothing]) == [[]]


def test_space_is_guessed_before_words_of_scripts_that_have_spaces():
    for text, is_after_space in (
        ("java", True),
        ("2", True),
        ("\u0451\u043b\u043a\u0430", True),
        ("(", False),
        ("\u6f22", False),
        ("\u3067", False),
    ):
        assert with_guessed_space(begins(text)).begins_word == is_after_space, text
        assert not with_guessed_space(continues(text)).begins_word


def test_added_tokens_are_spelled_as_they_stand_in_text(tmp_path):
    reader = load_reader(byte_level(tmp_path / "bytes"))
    reader.tokenizer.add_tokens([AddedToken("  "), AddedToken("caf\u00e9 au lait")])
    assert spellings(reader)[-2:] == [begins(" "), continues("caf\u00e9 au lait")]


def test_mark_is_told_by_the_decoder_where_few_tokens_have_it(tmp_path):
    """As in a vocabulary of a language that is written without spaces."""
    (tmp_path / "files").mkdir()
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "\u2581", *(chr(0x4E00 + n) for n in range(100))]
    tokenizer = load_tokenizer_of(models.Unigram([(piece, -1.0) for piece in pieces], unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    reader = saved_reader(tokenizer, tmp_path / "files")
    assert reader.space_mark == "\u2581"
    assert spelled(reader, continues("\u4e00\u4e01"), begins("\u4e00")) == [["\u4e00", "\u4e01"], ["\u2581", "\u4e00"]]


def test_models_of_the_forms_are_told_apart(tmp_path):
    marks = {name: load_reader(FORMS[name](tmp_path / name)).space_mark for name in FORMS}
    byte_level = {"byte_level", "byte_level_json", "modernbert"}
    assert {name for name, mark in marks.items() if mark == "\u0120"} == byte_level
    sentencepiece = {"camembert", "xlm_roberta", "multilingual_minilm", "albert"}
    assert {name for name, mark in marks.items() if mark == "\u2581"} == sentencepiece
    assert load_reader(xlm_roberta(tmp_path / "xlm")).begins_word is None
