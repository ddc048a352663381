"""Steps that train new rows or the embeddings only, and then everything."""

import numpy as np

from pretrain.model.encoder import Encoder
from pretrain.objectives.masked_lm import MaskedLM
from pretrain.train.phases import Phases
from pretrain.train.replicas import Replicas
from tests.pretrain.runs import config
from tests.pretrain.tiny import VOCAB_SIZE, masked_batch, tiny_checkpoint


def test_embeddings_phase_leaves_all_other_weights_unchanged():
    checkpoint, batch = tiny_checkpoint("bert"), masked_batch()
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    phases = Phases(encoder, MaskedLM(encoder), config(learning_rate=1e-2), 6, 3, Replicas())
    assert [phases.at(step).end for step in range(6)] == [3, 3, 3, 6, 6, 6]
    before = encoder.numpy_weights()
    for number in range(3):
        phases.at(number).execute(iter([batch]))
    after = encoder.numpy_weights()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith(("embeddings/word", "mlm/"))}
    phases.at(3).execute(iter([batch]))
    assert not np.array_equal(after["layer_0/attention/qkv/kernel"], encoder.weights["layer_0/attention/qkv/kernel"])
    assert phases.done == 4
    assert list(phases.optimizers) == ["optimizer", "embedding_optimizer"]
    assert [int(optimizer.steps) for optimizer in phases.optimizers.values()] == [1, 3]


def test_new_rows_phase_changes_no_other_row_to_the_bit():
    checkpoint, batch = tiny_checkpoint("bert"), masked_batch()
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    is_new_V = np.zeros(VOCAB_SIZE - 3, bool)  # the table has rows without tokens
    is_new_V[[7, 20, 44]] = True
    settings = config(learning_rate=1e-2, weight_decay=0.1)
    phases = Phases(encoder, MaskedLM(encoder), settings, 8, 2, Replicas(), 3, is_new_V)
    assert [phases.at(step).end for step in range(8)] == [3, 3, 3, 5, 5, 8, 8, 8]
    before = encoder.numpy_weights()
    for number in range(3):
        phases.at(number).execute(iter([batch]))
    after = encoder.numpy_weights()
    moved = (before["embeddings/word"] != after["embeddings/word"]).any(1)
    assert np.flatnonzero(moved).tolist() == [7, 20, 44]
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith(("embeddings/word", "mlm/"))}
    phases.at(3).execute(iter([batch]))
    assert (after["embeddings/word"] != encoder.weights["embeddings/word"].numpy()).any(1).all()
    assert list(phases.optimizers) == ["optimizer", "embedding_optimizer", "new_rows_optimizer"]
