"""Attention whose scores have a bias of distances."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from pretrain.ops.attention import distance_bias, distance_bias_at, distance_buckets


def test_buckets_of_distances_are_mpnet_s():
    """Distances up to 8 have buckets of their own; the others begin where those of the published code begin."""
    buckets_TT = distance_buckets(200, 32)
    before_query_T = buckets_TT[199, ::-1]
    begins = [int(np.argmax(before_query_T == bucket)) for bucket in range(16)]
    assert begins == [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]
    assert before_query_T[-1] == 15
    np.testing.assert_array_equal(buckets_TT[0, 1:], before_query_T[1:] + 16)


@pytest.mark.torch
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_buckets_equal_those_of_transformers():
    import torch
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    index_T = torch.arange(600)
    theirs_TT = MPNetEncoder.relative_position_bucket(index_T[None, :] - index_T[:, None])
    np.testing.assert_array_equal(distance_buckets(600, 32), theirs_TT.numpy())


def test_bias_is_the_table_s_row_of_each_distance():
    table_UA = np.random.RandomState(0).normal(size=(8, 3)).astype("f4")
    bias_1ATT = distance_bias(tf.constant(table_UA), 5)
    expected_TTA = table_UA[distance_buckets(5, 8)]
    np.testing.assert_allclose(bias_1ATT[0].numpy(), expected_TTA.transpose(2, 0, 1), rtol=1e-6)
    positions_BP = np.array([[4, 0], [1, 1]])
    at_BAPT = distance_bias_at(bias_1ATT, tf.constant(positions_BP))
    np.testing.assert_allclose(at_BAPT.numpy(), expected_TTA[positions_BP].transpose(0, 3, 1, 2), rtol=1e-6)
