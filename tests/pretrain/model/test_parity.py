"""The encoder computes what PyTorch transformers computes, from the same files."""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pretrain.model.architecture import hugging_face_names
from pretrain.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from pretrain.model.encoder import Encoder
from pretrain.objectives.masked_lm import MaskedBatch, MaskedLM
from pretrain.train.step import accumulate_gradients
from stackbert.core.checkpoints import resolve_base
from tests.pretrain.make_references import REFERENCES, torch_minilm, torch_outputs
from tests.pretrain.tiny import CONFIGS, padded_batch, tiny_checkpoint

FAMILIES = tuple(CONFIGS)
TOLERANCE = 1e-4


def in_graph(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a compiled function, as in training: fused ops that run eagerly are traced once for each shape."""
    return tf.function(function, autograph=False).get_concrete_function(*arguments)(*arguments)


def stored(family: str) -> dict[str, np.ndarray]:
    return dict(np.load(REFERENCES / f"{family}.npz"))


def live(family: str) -> dict[str, np.ndarray]:
    return torch_minilm() if family == "minilm" else torch_outputs(family)


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def reference_cases(families: tuple[str, ...]) -> list:
    needs_torch = [pytest.mark.torch, pytest.mark.skipif(not has_torch(), reason="PyTorch is not installed")]
    return [pytest.param(stored, family, id=f"{family}-stored") for family in families] + [
        pytest.param(live, family, id=f"{family}-live", marks=needs_torch) for family in families
    ]


def our_gradients(
    checkpoint: Checkpoint, ids: np.ndarray, segments: np.ndarray, labels: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Loss and gradients of one MLM step under Hugging Face names, at the positions that `labels` masks."""
    is_masked = labels != -100
    slots = int(is_masked.sum(1).max())
    order = np.argsort(~is_masked, axis=1, kind="stable")[:, :slots]
    masked = MaskedBatch(
        ids_BT=tf.constant(ids),
        segments_BT=tf.constant(segments),
        positions_BP=tf.constant(order, tf.int32),
        targets_BP=tf.constant(np.maximum(np.take_along_axis(labels, order, 1), 0), tf.int32),
        weights_BP=tf.constant(np.take_along_axis(is_masked, order, 1), tf.float32),
    )
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    variables = list(encoder.weights.values())
    gradients, sums = in_graph(lambda batch: accumulate_gradients(MaskedLM(encoder), batch, variables, 0), masked)
    found: dict[str, np.ndarray] = {}
    ours = dict(zip(encoder.weights, [gradient / sums[2] for gradient in gradients], strict=True))
    for name, theirs in hugging_face_names(checkpoint.architecture).items():
        parts = np.split(ours[name].numpy(), len(theirs), axis=-1)
        found |= {key: part.T if name.endswith("/kernel") else part for key, part in zip(theirs, parts, strict=True)}
    return float(sums[0] / sums[2]), found


def packed(batch: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, segments and labels of a padded batch's texts, one after the other in a single row without padding."""
    real = batch["mask"] == 1
    segments = np.broadcast_to(np.arange(1, len(real) + 1, dtype=np.int32)[:, None], real.shape)
    return batch["ids"][real][None], segments[real][None], batch["labels"][real][None]


@pytest.mark.parametrize(("reference", "family"), reference_cases(FAMILIES))
def test_hidden_states_and_logits_equal_transformers(reference, family):
    expected, batch, checkpoint = reference(family), padded_batch(family), tiny_checkpoint(family)
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    hidden = in_graph(encoder.hidden, tf.constant(batch["ids"]), tf.constant(batch["mask"]))
    logits = encoder.mlm_logits(tf.reshape(hidden, (-1, hidden.shape[-1]))) + encoder.weights["mlm/bias"]
    logits = logits.numpy().reshape(expected["logits"].shape)
    real = batch["mask"] == 1
    np.testing.assert_allclose(hidden.numpy()[real], expected["hidden"][real], atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(logits[real], expected["logits"][real], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("is_packed", [False, True], ids=["padded", "packed"])
@pytest.mark.parametrize(("reference", "family"), reference_cases(FAMILIES))
def test_gradient_of_a_step_equals_transformers_on_the_padded_batch(reference, family, is_packed):
    expected, batch = reference(family), padded_batch(family)
    given = packed(batch) if is_packed else (batch["ids"], batch["mask"], batch["labels"])
    loss, gradients = our_gradients(tiny_checkpoint(family), *given)
    assert loss == pytest.approx(float(expected["loss"]), rel=TOLERANCE)
    compared = 0
    for key, theirs in expected.items():
        if not key.startswith("gradient "):
            continue
        ours = gradients[key.removeprefix("gradient ")]
        # the key's bias has no gradient but rounding: softmax does not see what is added to every score
        atol = TOLERANCE * max(float(np.abs(theirs).max()), 1e-2)
        np.testing.assert_allclose(ours, theirs, atol=atol, rtol=TOLERANCE, err_msg=key)
        compared += 1
    assert compared == len(gradients)


@pytest.mark.parametrize(("reference", "family"), reference_cases(("minilm",)))
def test_minilm_hidden_states_equal_transformers(reference, family):
    expected = reference(family)
    checkpoint = load_checkpoint(resolve_base("minilm"))
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    hidden = in_graph(encoder.hidden, tf.constant(expected["ids"]), tf.constant(expected["mask"])).numpy()
    real = expected["mask"] == 1
    np.testing.assert_allclose(hidden[real], expected["hidden"][real], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_texts_equal_each_text_alone(family):
    checkpoint = tiny_checkpoint(family)
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    texts = [[7, 9, 30, 8], [12, 40, 41, 42, 5, 6], [33, 20]]
    ids = np.array([[*texts[0], *texts[1], *texts[2], 0, 0]], np.int32)
    segments = np.array([[1] * 4 + [2] * 6 + [3] * 2 + [0] * 2], np.int32)
    together = in_graph(encoder.hidden, tf.constant(ids), tf.constant(segments)).numpy()[0]
    start = 0
    for text in texts:
        alone = in_graph(encoder.hidden, tf.constant([text], tf.int32), tf.ones((1, len(text)), tf.int32)).numpy()[0]
        np.testing.assert_allclose(together[start : start + len(text)], alone, atol=1e-5)
        start += len(text)


@pytest.mark.parametrize("family", FAMILIES)
def test_states_at_some_positions_are_those_of_the_whole(family):
    checkpoint = tiny_checkpoint(family)
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    batch = padded_batch(family)
    ids_BT, segments_BT = tf.constant(batch["ids"]), tf.constant(batch["mask"])
    positions_BP = np.array([[3, 0, 11], [6, 1, 1], [2, 0, 1]], np.int32)
    whole_BTH = in_graph(encoder.hidden, ids_BT, segments_BT).numpy()
    found_MH = in_graph(encoder.hidden_at, ids_BT, segments_BT, tf.constant(positions_BP)).numpy()
    expected_BPH = np.take_along_axis(whole_BTH, positions_BP[:, :, None], axis=1)
    np.testing.assert_allclose(found_MH.reshape(expected_BPH.shape), expected_BPH, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_save_and_load_give_the_same_bytes(family, tmp_path):
    checkpoint = tiny_checkpoint(family)
    save_checkpoint(checkpoint, tmp_path, tmp_path)
    loaded = load_checkpoint(tmp_path)
    assert loaded.architecture == checkpoint.architecture
    assert loaded.has_mlm_head
    for name, weight in checkpoint.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], weight, err_msg=name)


def test_bfloat16_stays_near_float32():
    checkpoint, batch = tiny_checkpoint("bert"), padded_batch("bert")
    exact, rounded = (
        Encoder(checkpoint.architecture, checkpoint.weights, dtype).hidden(
            tf.constant(batch["ids"]), tf.constant(batch["mask"])
        )
        for dtype in (tf.float32, tf.bfloat16)
    )
    assert rounded.dtype == tf.bfloat16
    error = np.abs(exact.numpy() - tf.cast(rounded, tf.float32).numpy())[batch["mask"] == 1]
    assert 0 < error.mean() < 0.05
