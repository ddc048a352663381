"""Vocabulary transfer of a base checkpoint."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from pretrain.init.transfer import TransferCounts, check_vocabulary, old_pieces, transfer_vocabulary
from pretrain.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from pretrain.model.encoder import Encoder
from stackbert.core.errors import StackbertError
from tests.pretrain.readers import camembert_reader, roberta_reader, wordpiece_reader
from tests.pretrain.tiny import tiny_checkpoint
from tests.tokenizer.made_tokenizers import padded_table, repeated_lines, wordpiece
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.reader import TextReader, load_reader
from tokenizer.vocabulary.export import save_tokenizer
from tokenizer.vocabulary.sentencepiece_trainer import train_sentencepiece

OLD = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *"amsql",
    "##s",
    "##ql",
    "##y",
    "##i",
    "##ng",
    "my",
    "sql",
    "sort",
    "+",
    "##+",
]
NEW = ["[MASK]", "[PAD]", "[CLS]", "[UNK]", "[SEP]", "sort", "mysql", "##ing", "sql++", "##s", "zz", "##zz", "##sql"]
BUILT = {
    "mysql": ("my", "##s", "##ql"),
    "##ing": ("##i", "##ng"),
    "sql++": ("sql", "+", "##+"),
    "##sql": ("##s", "##ql"),
}


@pytest.fixture
def old(tmp_path) -> TextReader:
    return wordpiece_reader(OLD, tmp_path / "old")


@pytest.fixture
def new(tmp_path) -> TextReader:
    return wordpiece_reader(NEW, tmp_path / "new")


def base() -> Checkpoint:
    return tiny_checkpoint("bert")


def test_tokens_in_both_keep_their_row_and_bias(old, new):
    moved, _ = transfer_vocabulary(base(), old, new, "mean", seed=0)
    for name in ("embeddings/word", "mlm/bias"):
        for token in ("sort", "##s"):
            np.testing.assert_array_equal(
                moved.weights[name][NEW.index(token)], base().weights[name][OLD.index(token)], err_msg=token
            )


def test_special_tokens_are_matched_by_role(old, new):
    moved, _ = transfer_vocabulary(base(), old, new, "random", seed=0)
    for token in OLD[:5]:
        for name in ("embeddings/word", "mlm/bias"):
            np.testing.assert_array_equal(moved.weights[name][NEW.index(token)], base().weights[name][OLD.index(token)])
    assert moved.config["pad_token_id"] == NEW.index("[PAD]")
    assert moved.config["vocab_size"] == moved.architecture.vocab_size == len(NEW)


def test_new_tokens_start_from_the_mean_of_their_old_pieces(old, new):
    moved, counts = transfer_vocabulary(base(), old, new, "mean", seed=0)
    for token, pieces in BUILT.items():
        numbers = [OLD.index(piece) for piece in pieces]
        for name in ("embeddings/word", "mlm/bias"):
            expected = base().weights[name][numbers].mean(0)
            np.testing.assert_allclose(moved.weights[name][NEW.index(token)], expected, rtol=1e-6, err_msg=token)
    assert counts == TransferCounts(shared=7, built=4, unknown=2)
    assert old_pieces(old, new)[NEW.index("zz")] == old_pieces(old, new)[NEW.index("##zz")] == []


def test_random_method_draws_new_tokens_from_the_tables_own_deviation_and_keeps_the_rest(old, new):
    moved, counts = transfer_vocabulary(base(), old, new, "random", seed=0)
    table = base().weights["embeddings/word"]
    drawn = moved.weights["embeddings/word"][[NEW.index(token) for token in BUILT]]
    mean, _ = transfer_vocabulary(base(), old, new, "mean", seed=0)
    assert np.abs(drawn - mean.weights["embeddings/word"][[NEW.index(token) for token in BUILT]]).max(1).min() > 0.1
    assert drawn.std() == pytest.approx(table.std(), rel=0.3)
    np.testing.assert_array_equal(moved.weights["embeddings/word"][NEW.index("sort")], table[OLD.index("sort")])
    assert counts.shared == 7


def test_seed_fixes_what_is_drawn(old, new):
    tables = [transfer_vocabulary(base(), old, new, "random", seed)[0].weights["embeddings/word"] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(tables[0], tables[1])
    assert not np.array_equal(tables[0], tables[2])


def test_all_other_weights_stay(old, new):
    moved, _ = transfer_vocabulary(base(), old, new, "mean", seed=0)
    for name, weight in base().weights.items():
        if name not in ("embeddings/word", "mlm/bias"):
            np.testing.assert_array_equal(moved.weights[name], weight, err_msg=name)


def test_same_vocabulary_changes_nothing(old, tmp_path):
    moved, counts = transfer_vocabulary(base(), old, wordpiece_reader(OLD, tmp_path / "again"), "mean", seed=0)
    assert moved.weights.keys() == base().weights.keys()
    np.testing.assert_array_equal(moved.weights["embeddings/word"], base().weights["embeddings/word"])
    assert counts == TransferCounts(len(OLD), 0, 0)


def test_vocabulary_larger_than_the_table_is_refused(old, new):
    small = replace(base(), architecture=replace(base().architecture, vocab_size=len(OLD) - 1))
    with pytest.raises(StackbertError, match="does not fit the checkpoint"):
        check_vocabulary(small, old)
    with pytest.raises(StackbertError, match="does not fit the checkpoint"):
        transfer_vocabulary(small, old, new, "mean", seed=0)


def test_roberta_spells_a_word_after_a_space_and_what_continues_one_without(tmp_path):
    old, new = (
        roberta_reader(tmp_path / "old"),
        wordpiece_reader([*NEW[:5], "my", "##my", "mys", "##in", ","], tmp_path / "new"),
    )
    spelled = [[old.tokenizer.id_to_token(number) for number in pieces] for pieces in old_pieces(old, new)]
    assert spelled[5:] == [["Ġmy"], ["my"], ["Ġmy", "s"], ["in"], [","]]
    assert spelled[:5] == [["<mask>"], ["<pad>"], ["<s>"], ["<unk>"], ["</s>"]]


def test_camembert_spells_a_word_with_its_mark_and_what_continues_one_without(tmp_path):
    old = camembert_reader(tmp_path / "old")
    new = wordpiece_reader([*NEW[:5], "my", "##sql", "mysql", "##ing", ",", "zz"], tmp_path / "new")
    spelled = [[old.tokenizer.id_to_token(number) for number in pieces] for pieces in old_pieces(old, new)]
    assert spelled[5:] == [["\u2581my"], ["sql"], ["\u2581my", "sql"], ["in", "g"], [","], []]
    assert spelled[:5] == [["<mask>"], ["<pad>"], ["<s>"], ["<unk>"], ["</s>"]]
    start = tiny_checkpoint("camembert")
    moved, _ = transfer_vocabulary(start, old, new, "mean", seed=0)
    assert moved.architecture.first_position == new.padding_id + 1
    ids = [old.tokenizer.token_to_id("\u2581my")], [new.tokenizer.token_to_id("my")]
    states = [hidden(checkpoint, each) for checkpoint, each in zip((start, moved), ids, strict=True)]
    np.testing.assert_allclose(states[1], states[0], atol=1e-6)


def test_mark_of_a_space_among_the_letters_changes_nothing(old, tmp_path):
    """A vocabulary learned from text about tokenizers holds it, as a letter of its own."""
    with_mark = wordpiece_reader([*NEW, "\u2581"], tmp_path / "marked")
    assert old_pieces(old, with_mark)[: len(NEW)] == old_pieces(old, wordpiece_reader(NEW, tmp_path / "plain"))
    with_byte_mark = wordpiece_reader([*NEW, "\u0120"], tmp_path / "byte")
    assert (with_mark.space_mark, with_byte_mark.space_mark) == ("", "")


def test_signs_of_wordpiece_among_roberta_s_tokens_change_nothing(tmp_path):
    plain, signs = roberta_reader(tmp_path / "old"), roberta_reader(tmp_path / "signs")
    signs.tokenizer.add_tokens(["##", "####"])
    new = wordpiece_reader(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "my", "##in", "in"], tmp_path / "new")
    assert old_pieces(signs, new) == old_pieces(plain, new)
    assert plain.space_mark == "\u0120"


@pytest.mark.parametrize("padding", [0, 1, 4])
def test_roberta_keeps_each_position_whatever_the_id_of_padding(padding, tmp_path):
    specials = ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    specials.insert(padding, "[PAD]")
    letters = list("abcdeimnqrsty")
    old = roberta_reader(tmp_path / "old")
    new = wordpiece_reader([*specials, *(f"##{letter}" for letter in letters), "my"], tmp_path / "new")
    start = tiny_checkpoint("roberta")
    moved, _ = transfer_vocabulary(start, old, new, "mean", seed=0)
    old_ids = [old.tokenizer.token_to_id(letter) for letter in letters]
    new_ids = [new.tokenizer.token_to_id(f"##{letter}") for letter in letters]
    states = [hidden(checkpoint, ids) for checkpoint, ids in ((start, old_ids), (moved, new_ids))]
    np.testing.assert_allclose(states[1], states[0], atol=1e-6)
    # Hugging Face counts positions from the id of padding, and what is read back must do the same
    assert moved.config["pad_token_id"] == new.padding_id == moved.architecture.first_position - 1
    assert moved.architecture.max_length == start.architecture.max_length
    (tmp_path / "saved").mkdir()
    save_checkpoint(moved, tmp_path / "new", tmp_path / "saved")
    loaded = load_checkpoint(tmp_path / "saved")
    assert loaded.architecture == moved.architecture
    np.testing.assert_allclose(hidden(loaded, new_ids), states[0], atol=1e-6)


def hidden(checkpoint: Checkpoint, ids: list[int]) -> np.ndarray:
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    return encoder.hidden(tf.constant([ids]), tf.ones((1, len(ids)), tf.int32)).numpy()


def test_similar_method_starts_from_the_shared_token_with_the_most_similar_vector(old, new):
    kept = new.tokenizer.token_to_id("sort"), new.tokenizer.token_to_id("##s")
    built = new.tokenizer.token_to_id("mysql")
    vectors = np.zeros((new.vocab_size, 2), np.float32)
    vectors[kept[0]], vectors[kept[1]], vectors[built] = (1, 0), (0, 1), (0.6, 0.8)
    moved, _ = transfer_vocabulary(base(), old, new, "similar", seed=0, vectors_VD=vectors)
    table, old_table = moved.weights["embeddings/word"], base().weights["embeddings/word"]
    np.testing.assert_allclose(table[built], old_table[OLD.index("##s")], rtol=1e-6)  # far nearer than the other
    mean, _ = transfer_vocabulary(base(), old, new, "mean", seed=0)
    without_vector = new.tokenizer.token_to_id("sql++")
    np.testing.assert_array_equal(table[without_vector], mean.weights["embeddings/word"][without_vector])


def test_sentencepiece_s_tokens_are_read_as_wordpiece_s(old, tmp_path):
    folder = tmp_path / "unigram"
    folder.mkdir()
    words = {"mysql": 30, "sort": 20, "sorting": 10}
    config = TokenizerConfig(vocab_size=40, model="unigram")
    save_tokenizer(train_sentencepiece(words, ["mysql"], config, lowercase=True), folder, lowercase=True)
    new = load_reader(folder)
    spelled = dict(zip(new.tokens(), old_pieces(old, new), strict=True))
    names = {token: [OLD[number] for number in numbers] for token, numbers in spelled.items()}
    assert names["\u2581mysql"] == ["my", "##s", "##ql"]
    assert names["s"] == ["##s"]
    assert names["[MASK]"] == ["[MASK]"]


def test_ids_without_a_token_are_neither_shared_nor_unknown(tmp_path):
    old, new = load_reader(wordpiece(tmp_path / "old")), load_reader(repeated_lines(tmp_path / "new"))
    start = tiny_checkpoint("bert", vocab_size=old.vocab_size)
    moved, counts = transfer_vocabulary(start, old, new, "mean", seed=0)
    assert moved.architecture.vocab_size == new.vocab_size
    blank = "" in new.tokenizer.get_vocab()
    assert counts == TransferCounts(new.vocab_size - len(new.absent_ids) - blank, 0, blank)
    for token, number in new.tokenizer.get_vocab().items():
        if token:
            expected = start.weights["embeddings/word"][old.tokenizer.token_to_id(token)]
            np.testing.assert_array_equal(moved.weights["embeddings/word"][number], expected)
    back, counts = transfer_vocabulary(moved, new, old, "mean", seed=0)
    assert counts == TransferCounts(old.vocab_size, 0, 0)
    np.testing.assert_array_equal(back.weights["embeddings/word"], start.weights["embeddings/word"])


def test_padded_word_table_is_kept_where_the_vocabulary_is_the_same(tmp_path):
    reader = load_reader(padded_table(tmp_path / "base"))
    start = tiny_checkpoint("bert", vocab_size=192)
    assert reader.vocab_size < 192
    assert transfer_vocabulary(start, reader, reader, "mean", seed=0)[0] is start


def test_same_tokens_with_other_roles_are_transferred(tmp_path):
    """Rows of special tokens follow their role, so equal lists of tokens alone do not make the vocabularies equal."""
    swapped = {"tokenizer_class": "BertTokenizer", "cls_token": "[SEP]", "sep_token": "[CLS]"}
    old = load_reader(wordpiece(tmp_path / "old"))
    new = load_reader(wordpiece(tmp_path / "new", **{"tokenizer_config.json": swapped}))
    assert old.tokens() == new.tokens()
    start = tiny_checkpoint("bert", vocab_size=old.vocab_size)
    moved, _ = transfer_vocabulary(start, old, new, "mean", seed=0)
    table, before = moved.weights["embeddings/word"], start.weights["embeddings/word"]
    np.testing.assert_array_equal(table[new.first_id], before[old.first_id])
    np.testing.assert_array_equal(table[new.last_id], before[old.last_id])
