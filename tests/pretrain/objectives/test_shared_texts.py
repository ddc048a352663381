"""Pairs that share a text, such as a question's title with its body and with its answer: no negatives of each other."""

import numpy as np
import pytest
import tensorflow as tf

from pretrain.model.encoder import Encoder
from pretrain.objectives.objective import BatchObjective
from pretrain.objectives.pair_contrast import PairBatch, PairContrast, text_hashes
from tests.pretrain.objectives.objective_runs import (
    ObjectiveRuns,
    encoded,
    gradients_of,
    history,
    relative_difference,
    straight_run,
)
from tests.pretrain.tiny import tiny_checkpoint
from tests.tokenizer.tagged import related_set
from tokenizer.encoding.packed_rows import load_rows

TITLE, BODY, ANSWER, OTHER, ITS_BODY, THIRD = [9, 11, 14], [12, 40], [30, 31], [8, 7], [21, 22, 23], [15, 16]
PAIRS = [(TITLE, BODY), (OTHER, ITS_BODY), (TITLE, ANSWER), (OTHER, TITLE), (THIRD, BODY), (THIRD, [14, 11, 9])]
ROWS = [PAIRS[:2], PAIRS[2:3], PAIRS[3:5], PAIRS[5:]]
MAX_PAIRS, TEMPERATURE = 2, 0.5


def batch() -> PairBatch:
    ids_BT, segments_BT = np.zeros((2, len(ROWS), 20), np.int32)
    for ids, segments, pairs in zip(ids_BT, segments_BT, ROWS, strict=True):
        texts = [[2, *text, 3] for pair in pairs for text in pair]
        tokens = [token for text in texts for token in text]
        ids[: len(tokens)] = tokens
        segments[: len(tokens)] = [number for number, text in enumerate(texts, 1) for _ in text]
    return PairBatch(tf.constant(ids_BT), tf.constant(segments_BT))


def objective(has_shared_texts: bool = True) -> tuple[Encoder, PairContrast]:
    checkpoint = tiny_checkpoint("bert")
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    return encoder, PairContrast(encoder, MAX_PAIRS, "mean", TEMPERATURE, has_shared_texts)


def expected_loss(vectors_N2P: np.ndarray) -> tuple[float, float]:
    """Cross entropy among the partners of pairs that share no text, and the nearest ones, pair by pair."""
    loss = correct = 0.0
    for number, pair in enumerate(PAIRS):
        others = [
            n for n, other in enumerate(PAIRS) if n == number or not any(one == two for one in pair for two in other)
        ]
        for mine, theirs in ((0, 1), (1, 0)):
            logits = vectors_N2P[others, theirs] @ vectors_N2P[number, mine] / TEMPERATURE
            loss -= (logits[others.index(number)] - np.log(np.exp(logits).sum())) / 2
            correct += (logits.argmax() == others.index(number)) / 2
    return loss, correct


def test_only_pairs_without_a_text_in_common_are_compared():
    _, plain = objective(False)
    vectors = plain.vectors(batch()).numpy()
    vectors = vectors.reshape(-1, 2, vectors.shape[-1])
    vectors = vectors[np.any(vectors != 0, axis=(1, 2))]
    losses = objective()[1].losses(batch())
    loss, correct = expected_loss(vectors)
    np.testing.assert_allclose(losses.reported_K, [loss, correct], rtol=1e-4)
    assert float(losses.count) == len(PAIRS)
    assert float(plain.losses(batch()).total) > loss + 1


def test_without_a_text_in_common_nothing_changes():
    ids, segments = batch()
    apart = PairBatch(ids[:1], segments[:1])
    one, other = (gradients_of(*objective(shared), apart) for shared in (True, False))
    assert relative_difference(one, other) < 1e-6


@pytest.mark.parametrize("micro_batch_rows", [1, 2])
def test_cached_gradients_are_those_of_one_pass(micro_batch_rows):
    assert isinstance(objective()[1], BatchObjective)
    whole, cut = (gradients_of(*objective(), batch(), rows) for rows in (0, micro_batch_rows))
    assert relative_difference(cut, whole) < 1e-6


def test_equal_texts_have_equal_hashes_wherever_they_stand():
    ids, segments = batch()
    hashes = text_hashes(ids, segments, 2 * MAX_PAIRS).numpy()
    texts: dict[tuple[int, ...], set[tuple[float, ...]]] = {}
    for row, pairs in zip(hashes, ROWS, strict=True):
        for own, text in zip(row, [text for pair in pairs for text in pair], strict=False):
            texts.setdefault(tuple(text), set()).add(tuple(own))
    assert len(texts) == 7 and all(len(found) == 1 for found in texts.values())
    assert len(set.union(*texts.values())) == 7, "the same tokens in another order are another text"
    assert not hashes[1, 2:].any(), "a slot without a text has none"


def test_hashes_tell_many_texts_apart_and_are_the_same_compiled():
    draw = np.random.RandomState(0)
    ids = tf.constant(draw.randint(5, 30_000, (4_000, 8)), tf.int32)
    segments = tf.ones_like(ids)
    hashes = text_hashes(ids, segments, 1)
    assert len(np.unique(hashes.numpy().reshape(-1, 2), axis=0)) == len(np.unique(ids, axis=0)) == 4_000
    compiled = tf.function(lambda: text_hashes(ids, segments, 1), jit_compile=True, autograph=False)()
    np.testing.assert_array_equal(compiled, hashes)


@pytest.fixture(scope="module")
def runs(small_rows, headless_base, tmp_path_factory) -> ObjectiveRuns:
    folder = tmp_path_factory.mktemp("related")
    labelled = related_set(folder)
    (folder / "made").mkdir()
    sources = ("title-body", "answers", "duplicates")
    made = encoded(
        labelled,
        small_rows / "tokenizer",
        folder / "made",
        targets="pairs",
        pair_tokens=8,
        pair_sources=sources,
    )
    settings = {"objective": "pairs", "learning_rate": 2e-3, "batch_rows": 8, "tokens": 24 * 8 * 32}
    return straight_run(made, headless_base, settings, folder)


def test_a_run_learns_from_all_kinds_of_pairs(runs):
    assert load_rows(runs.made / "rows", "train").has_shared_texts
    first, *_, last = history(runs.straight)
    assert last["loss"] < first["loss"] - 0.1
    assert last["accuracy"] > first["accuracy"] + 0.1


def test_resumed_runs_equal_the_straight_one(runs, tmp_path, monkeypatch):
    runs.assert_resumable(tmp_path, monkeypatch, runs.straight)


def test_devices_share_a_batch(runs, tmp_path):
    runs.assert_shared(tmp_path, 2, micro_batch_rows=1)
