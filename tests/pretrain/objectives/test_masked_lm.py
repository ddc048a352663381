"""Dynamic masking: which tokens are masked, and by what they are replaced."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel
from tokenizers.models import BPE, Unigram
from tokenizers.pre_tokenizers import Metaspace

from pretrain.config import PretrainConfig
from pretrain.objectives.masked_lm import BEGINS, CONTINUES, STANDS_ALONE, Masker, build_masker, word_roles
from pretrain.randomness import stream
from tests.tokenizer.made_tokenizers import repeated_lines
from tokenizer.encoding.reader import TextReader, load_reader

VOCAB_SIZE, SPECIALS, MASK = 60, (0, 1, 2, 3, 4), 4
ROWS, LENGTH = 512, 100
MASKER = Masker(VOCAB_SIZE, SPECIALS, MASK, rate=0.15)
IS_NEW = np.arange(VOCAB_SIZE) >= 45
WORD_ROLES = np.repeat([BEGINS, STANDS_ALONE, CONTINUES], 20)


def rows_with_pads_and_specials() -> tuple[np.ndarray, np.ndarray]:
    """Rows of two packed texts of 40 tokens between [CLS] and [SEP], then padding."""
    generator = np.random.default_rng(5)
    text = generator.integers(5, VOCAB_SIZE, (ROWS, 2, 40))
    ids = np.zeros((ROWS, LENGTH), np.int32)
    segments = np.zeros((ROWS, LENGTH), np.int32)
    for number, start in enumerate((0, 42)):
        ids[:, start], ids[:, start + 41] = 2, 3
        ids[:, start + 1 : start + 41] = text[:, number]
        segments[:, start : start + 42] = number + 1
    return ids, segments


def masked_many(steps: int, masker: Masker = MASKER):
    ids, segments = rows_with_pads_and_specials()
    mask = tf.function(masker.mask)
    for step in range(steps):
        yield ids, segments, mask(tf.constant(ids), tf.constant(segments), stream(0, "mask", step))


def test_rates_over_a_million_tokens_and_uniform_random_words():
    maskable = chosen = 0
    kinds = np.zeros(3, int)
    words = np.zeros(VOCAB_SIZE, int)
    for ids, segments, batch in masked_many(25):
        ordinary = (segments > 0) & ~np.isin(ids, SPECIALS)
        used = batch.weights_BP.numpy() > 0
        seen = np.take_along_axis(batch.ids_BT.numpy(), batch.positions_BP.numpy(), 1)[used]
        targets = batch.targets_BP.numpy()[used]
        maskable += ordinary.sum()
        chosen += used.sum()
        drawn = (seen != MASK) & (seen != targets)
        kinds += [(seen == MASK).sum(), drawn.sum(), (seen == targets).sum()]
        words += np.bincount(seen[drawn], minlength=VOCAB_SIZE)
    assert maskable >= 1_000_000
    assert chosen / maskable == pytest.approx(0.15, abs=0.001)
    ordinary_words = VOCAB_SIZE - len(SPECIALS)
    by_chance = 0.1 / ordinary_words  # a random word that happens to be the token itself counts as kept
    np.testing.assert_allclose(kinds / chosen, [0.8, 0.1 - by_chance, 0.1 + by_chance], atol=0.003)
    assert words[list(SPECIALS)].sum() == 0
    assert stats.chisquare(words[len(SPECIALS) :]).pvalue > 1e-4
    print(f"masked {chosen / maskable:.4%}; mask/random/same {kinds / chosen}")


def test_specials_and_padding_are_never_touched():
    for ids, segments, batch in masked_many(3):
        changed = batch.ids_BT.numpy() != ids
        assert not changed[(segments == 0) | np.isin(ids, SPECIALS)].any()
        used = batch.weights_BP.numpy() > 0
        positions = batch.positions_BP.numpy()
        for row in range(ROWS):
            assert len(set(positions[row][used[row]])) == used[row].sum()
        targets = np.take_along_axis(ids, positions, 1)
        np.testing.assert_array_equal(batch.targets_BP.numpy(), targets)


def test_row_without_ordinary_tokens_has_no_masked_positions():
    masker = Masker(VOCAB_SIZE, SPECIALS, MASK, rate=0.15)
    ids = tf.constant([[2, 3, 0, 0], [2, 9, 3, 0]])
    batch = masker.mask(ids, tf.constant([[1, 1, 0, 0], [1, 1, 1, 0]]), stream(0, "mask"))
    assert batch.weights_BP.numpy().sum(1).tolist() == [0, 1]
    assert batch.ids_BT.numpy()[0].tolist() == [2, 3, 0, 0]


@pytest.mark.parametrize("new_rate", [None, 1.7], ids=["alike", "new more often"])
@pytest.mark.parametrize("word_roles_V", [None, WORD_ROLES], ids=["tokens", "words"])
def test_eager_graph_tf_data_and_xla_give_equal_batches(word_roles_V, new_rate):
    new = {"is_new_V": IS_NEW, "new_rate": new_rate} if new_rate else {}
    masker = Masker(VOCAB_SIZE, SPECIALS, MASK, rate=0.15, word_roles_V=word_roles_V, **new)
    ids, segments = (tf.constant(array[:8]) for array in rows_with_pads_and_specials())

    def at(step):
        return masker.mask(ids, segments, stream(3, "mask", step))

    expected = at(7)
    others = [
        tf.function(at)(tf.constant(7)),
        tf.function(at, jit_compile=True)(tf.constant(7)),
        next(iter(tf.data.Dataset.range(7, 8).map(at))),
    ]
    for other in others:
        for one, two in zip(expected, other, strict=True):
            np.testing.assert_array_equal(one.numpy(), two.numpy())


def words_of(ids: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """A number for each ordinary token's word, -1 for other tokens, read off token by token."""
    words, number = np.full(ids.shape, -1), 0
    for row, column in np.ndindex(ids.shape):
        if segments[row, column] == 0 or ids[row, column] in SPECIALS:
            continue
        before = column and words[row, column - 1] >= 0 and WORD_ROLES[ids[row, column - 1]] != STANDS_ALONE
        goes_on = before and WORD_ROLES[ids[row, column]] == CONTINUES
        number += not goes_on
        words[row, column] = number
    return words


def test_whole_words_are_masked_whole_and_nearly_as_many():
    masker = Masker(VOCAB_SIZE, SPECIALS, MASK, rate=0.15, word_roles_V=WORD_ROLES)
    chosen = maskable = longer = 0
    for ids, segments, batch in masked_many(3, masker):
        words = words_of(ids, segments)
        masked = np.zeros(ids.shape, bool)
        used = batch.weights_BP.numpy() > 0
        rows = np.broadcast_to(np.arange(ROWS)[:, None], used.shape)
        masked[rows[used], batch.positions_BP.numpy()[used]] = True
        whole = np.isin(words, words[masked]) & (words >= 0)
        np.testing.assert_array_equal(masked, whole)
        chosen, maskable = chosen + masked.sum(), maskable + (words >= 0).sum()
        longer += (np.unique(words[masked], return_counts=True)[1] > 1).sum()
    print(f"whole words: {chosen / maskable:.3%} of {maskable:,} tokens")
    assert longer > 1_000
    assert chosen / maskable == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 3.0])
def test_new_tokens_are_masked_as_much_more_often_as_asked_and_no_more_in_all(factor):
    masker = Masker(VOCAB_SIZE, SPECIALS, MASK, rate=0.15, is_new_V=IS_NEW, new_rate=factor)
    chosen, found = np.zeros(VOCAB_SIZE), np.zeros(VOCAB_SIZE)
    for ids, segments, batch in masked_many(12, masker):
        found += np.bincount(ids[(segments > 0) & ~np.isin(ids, SPECIALS)], minlength=VOCAB_SIZE)
        chosen += np.bincount(batch.targets_BP.numpy()[batch.weights_BP.numpy() > 0], minlength=VOCAB_SIZE)
    new, old = (chosen[mask].sum() / found[mask].sum() for mask in (IS_NEW, ~IS_NEW))
    assert new / old == pytest.approx(factor, rel=0.03)
    assert chosen.sum() / found.sum() == pytest.approx(0.15, abs=0.001)
    assert chosen[list(SPECIALS)].sum() == 0
    print(f"factor {factor}: {new:.4f} of new tokens masked, {old:.4f} of others")


def test_words_with_a_new_token_are_masked_whole_and_more_often():
    options = {"is_new_V": IS_NEW, "new_rate": 2.0, "word_roles_V": WORD_ROLES}
    masker = Masker(VOCAB_SIZE, SPECIALS, MASK, rate=0.15, **options)
    rates = {True: [0, 0], False: [0, 0]}
    for ids, segments, batch in masked_many(8, masker):
        words, masked = words_of(ids, segments), np.zeros(ids.shape, bool)
        used = batch.weights_BP.numpy() > 0
        rows = np.broadcast_to(np.arange(ROWS)[:, None], used.shape)
        masked[rows[used], batch.positions_BP.numpy()[used]] = True
        np.testing.assert_array_equal(masked, np.isin(words, words[masked]) & (words >= 0))
        # of words of two tokens, so that their length does not decide
        numbers, counts = np.unique(words[words >= 0], return_counts=True)
        of_two = np.isin(words, numbers[counts == 2])
        has_new = np.isin(words, words[IS_NEW[ids] & (words >= 0)])
        for is_new, sums in rates.items():
            chosen = of_two & (has_new == is_new)
            sums[0] += masked[chosen].sum()
            sums[1] += chosen.sum()
    new, old = (rates[is_new][0] / rates[is_new][1] for is_new in (True, False))
    assert new / old == pytest.approx(2, rel=0.1)


def test_shares_are_as_asked():
    masker = Masker(VOCAB_SIZE, SPECIALS, MASK, rate=0.15, mask_share=0.0, random_share=1.0)
    for _, _, batch in masked_many(1, masker):
        assert not (batch.ids_BT.numpy() == MASK).any()
        used = batch.weights_BP.numpy() > 0
        seen = np.take_along_axis(batch.ids_BT.numpy(), batch.positions_BP.numpy(), 1)[used]
        assert (seen != batch.targets_BP.numpy()[used]).mean() > 0.9


def test_random_words_have_a_token(tmp_path):
    """Neither ids without a token nor rows that pad the word table are read in place of a masked token."""
    reader = load_reader(repeated_lines(tmp_path / "base"))
    config = PretrainConfig(mask_share=0.0, random_share=1.0, whole_words=False)
    masker = build_masker(reader, config)
    ids = tf.fill([64, 32], reader.tokenizer.token_to_id("the"))
    read = {
        int(number)
        for step in range(10)
        for number in np.unique(masker.mask(ids, tf.ones_like(ids), stream(0, "mask", step)).ids_BT)
    }
    ordinary = set(reader.tokenizer.get_vocab().values()) - set(reader.special_ids)
    assert read == ordinary


def test_words_begin_where_the_vocabulary_says(small_rows):
    reader = load_reader(small_rows / "tokenizer")
    begins = word_roles(reader) == BEGINS
    assert all(begins[n] != token.startswith("##") for n, token in enumerate(reader.tokens()))
    assert begins.any()
    assert not begins.all()


def test_words_of_a_vocabulary_that_marks_spaces():
    model = Unigram([("<unk>", 0.0), ("\u2581how", -1.0), ("ever", -2.0), (",", -2.0), ("\u2581", -3.0)], unk_id=0)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = Metaspace()
    reader = TextReader(tokenizer, 0, 0, 0, 0, 0)
    assert word_roles(reader).tolist() == [CONTINUES, BEGINS, CONTINUES, STANDS_ALONE, BEGINS]


def test_words_of_a_vocabulary_of_bytes():
    line_end, two_bytes_of_e_acute = "\u010a", ("\u00c3", "\u00a9")
    tokens = ["\u0120how", "ever", "\u0120(", line_end, *two_bytes_of_e_acute, "\u0120"]
    tokenizer = Tokenizer(BPE({token: n for n, token in enumerate(tokens)}, []))
    tokenizer.decoder = ByteLevel()
    reader = TextReader(tokenizer, 0, 0, 0, 0, 0)
    expected = [BEGINS, CONTINUES, STANDS_ALONE, STANDS_ALONE, CONTINUES, CONTINUES, BEGINS]
    assert word_roles(reader).tolist() == expected
