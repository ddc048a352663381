"""Steps that train the embeddings only, and then everything."""

import numpy as np

from pretrain.model.encoder import Encoder
from pretrain.objectives.masked_lm import MaskedLM
from pretrain.train.phases import Phases
from pretrain.train.replicas import Replicas
from tests.pretrain.runs import config
from tests.pretrain.tiny import masked_batch, tiny_checkpoint


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
