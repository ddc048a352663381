"""Transfer between tokenizers of any two kinds: WordPiece, byte-level BPE, and SentencePiece with XLM-R's ids."""

import numpy as np
import pytest

from pretrain.init.transfer import old_pieces, transfer_vocabulary
from tests.pretrain.init.transfer_table import measure_pairs
from tests.pretrain.tiny import tiny_checkpoint
from tests.tokenizer.made_tokenizers import TEXTS, byte_level_json, cased_wordpiece, wordpiece, xlm_roberta
from tokenizer.encoding.reader import TextReader, load_reader

OTHER_TEXTS = ["Printing the rows of tables in a NumPy array, sorted by column names", "mysqldump and node.js"] * 20
OLD = {"wordpiece": wordpiece, "byte_level": byte_level_json, "sentencepiece": xlm_roberta}
NEW = {
    "wordpiece": cased_wordpiece,
    "byte_level": lambda folder: byte_level_json(folder, OTHER_TEXTS, 330),
    "sentencepiece": lambda folder: xlm_roberta(folder, OTHER_TEXTS, 80),
}
MARKS = {"wordpiece": "", "byte_level": "\u0120", "sentencepiece": "\u2581"}
each_pair = pytest.mark.parametrize("pair", [(old, new) for old in OLD for new in NEW], ids=" to ".join)


@pytest.fixture(scope="module")
def readers(tmp_path_factory) -> dict[str, TextReader]:
    folder = tmp_path_factory.mktemp("kinds")
    made = {f"old {kind}": form(folder / f"old-{kind}") for kind, form in OLD.items()}
    made |= {f"new {kind}": form(folder / f"new-{kind}") for kind, form in NEW.items()}
    return {name: load_reader(files) for name, files in made.items()}


@pytest.fixture
def old(pair, readers) -> TextReader:
    return readers[f"old {pair[0]}"]


@pytest.fixture
def new(pair, readers) -> TextReader:
    return readers[f"new {pair[1]}"]


def written(kind: str, word: str, begins: bool) -> str:
    """The token of a word, or of what continues one."""
    if kind == "wordpiece":
        return word if begins else f"##{word}"
    return MARKS[kind] + word if begins else word


def text_of(reader: TextReader, pieces: list[int]) -> str:
    """Letters of pieces, without the marks of words and spaces."""
    text: str = reader.tokenizer.decoder.decode([reader.tokenizer.id_to_token(number) for number in pieces])
    return text.removeprefix("##").replace(" ##", "").replace(" ", "")


@each_pair
def test_rows_are_copied_or_the_mean_of_the_pieces_and_all_are_counted(old, new):
    base = tiny_checkpoint("bert", old.vocab_size)
    moved, counts = transfer_vocabulary(base, old, new, "mean", seed=0)
    pieces_of = old_pieces(old, new)
    table = base.weights["embeddings/word"]
    copied = mean = 0
    for number, pieces in enumerate(pieces_of):
        row = moved.weights["embeddings/word"][number]
        if len(pieces) == 1:
            np.testing.assert_array_equal(row, table[pieces[0]])
            np.testing.assert_array_equal(moved.weights["mlm/bias"][number], base.weights["mlm/bias"][pieces[0]])
        elif pieces:
            np.testing.assert_allclose(row, table[pieces].mean(0), rtol=1e-5, atol=1e-6)
        copied, mean = copied + (len(pieces) == 1), mean + (len(pieces) > 1)
    assert (counts.shared, counts.built) == (copied, mean)
    assert counts.shared + counts.built + counts.unknown == new.vocab_size - len(new.absent_ids)
    assert counts.shared > 20


@each_pair
def test_special_tokens_keep_their_roles(old, new):
    pieces_of = old_pieces(old, new)
    assert [pieces_of[number] for number in new.special_ids] == [[number] for number in old.special_ids]


@each_pair
def test_tokens_of_the_same_letters_in_the_same_place_are_copied(pair, old, new):
    spelled = dict(zip(new.tokens(), old_pieces(old, new), strict=True))
    old_ids, found = old.tokenizer.get_vocab(), 0
    for word in [*"abcdefghilmnoprstuy", "sort", "the", "rows", "of", "in"]:
        for begins in (True, False):
            before, after = written(pair[0], word, begins), written(pair[1], word, begins)
            if before in old_ids and after in spelled:
                assert spelled[after] == [old_ids[before]], (before, after)
                found += 1
    assert found > 10


@each_pair
def test_pieces_have_the_letters_of_their_token(old, new):
    """Case folded where the old tokenizer folds it."""
    folds = old.begins_word is not None
    for number, (token, pieces) in enumerate(zip(new.tokens(), old_pieces(old, new), strict=True)):
        if pieces and number not in new.special_ids and not token.startswith("<") and token.isascii():
            letters = token.removeprefix("##")
            assert text_of(old, pieces) == (letters.lower() if folds else letters), token


@each_pair
def test_only_parts_of_characters_spaces_and_letters_that_the_old_lacks_start_from_noise(pair, old, new):
    lacking = [token for token, pieces in zip(new.tokens(), old_pieces(old, new), strict=True) if token and not pieces]
    if pair[0] == "byte_level":
        assert lacking == []
    else:
        known = set("".join(TEXTS)) - set("\u00e9\u00ef")
        words = [
            token.removeprefix("##").strip(MARKS[pair[1]]) for token in lacking if MARKS[pair[1]] or len(token) > 1
        ]
        assert not [word for word in words if word and known.issuperset(word) and word.isalnum()]


@pytest.mark.parametrize("kind", OLD)
def test_same_vocabulary_keeps_every_row(kind, readers):
    reader = readers[f"old {kind}"]
    base = tiny_checkpoint("bert", reader.vocab_size)
    same, counts = transfer_vocabulary(base, reader, reader, "mean", seed=0)
    assert same is base
    assert counts.built == counts.unknown == 0


@pytest.mark.slow
def test_mean_is_better_than_random_for_each_pair_of_kinds(tmp_path):
    pairs = measure_pairs(tmp_path)
    assert len(pairs) == 9
    for pair in pairs:
        assert pair.mean < pair.random, pair
