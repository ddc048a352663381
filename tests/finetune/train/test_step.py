"""One training step of the whole model."""

import numpy as np
import pytest
import tensorflow as tf

from finetune.classifier.classifier import Classifier
from finetune.train.batches import LabelledBatch
from finetune.train.step import FinetuneStep, dropout
from pretrain.measure.step_program import stablehlo
from pretrain.model.checkpoint import load_checkpoint
from pretrain.randomness import stream
from tests.finetune.questions import LABELS
from tokenizer.encoding.reader import load_reader


@pytest.fixture(scope="module")
def step(tiny_base, recipe) -> FinetuneStep:
    return FinetuneStep(Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), len(LABELS), recipe))


def test_whole_step_is_a_program_for_an_accelerator(step):
    batch, *others = step.specs(num_rows=4, num_texts=8)
    count = len(batch)
    program = stablehlo(
        lambda *tensors: step.update(LabelledBatch(*tensors[:count]), *tensors[count:]), [*batch, *others]
    )
    assert "tensor<4x12xi32>" in program and "stablehlo.dot" in program
    assert "custom_call" not in program


def test_dropout_of_a_text_does_not_depend_on_the_slice_that_it_is_in():
    pooled_NP, center_P = tf.random.stateless_normal((8, 10), (1, 2)), tf.range(10, dtype=tf.float32)
    whole = dropout(pooled_NP, center_P, 0.5, stream(3, "dropout", 7)).numpy()
    halves = [dropout(pooled_NP[n : n + 4], center_P, 0.5, stream(3, "dropout", 7, n)).numpy() for n in (0, 4)]
    np.testing.assert_array_equal(np.concatenate(halves), whole)
    assert not np.array_equal(whole, dropout(pooled_NP, center_P, 0.5, stream(3, "dropout", 8)).numpy())


def test_dropout_puts_the_center_in_the_place_of_its_share_and_keeps_the_mean():
    twos, center_P = tf.fill((500, 400), 2.0), tf.ones(400)
    dropped = dropout(twos, center_P, 0.1, stream(0, "dropout")).numpy()
    assert set(np.unique(dropped)) == {np.float32(1), np.float32(1 + 1 / 0.9)}
    assert np.mean(dropped == 1) == pytest.approx(0.1, abs=0.003)
    assert dropped.mean() == pytest.approx(2, abs=0.003)
    assert dropout(twos, center_P, 0.0, stream(0, "dropout")) is twos
