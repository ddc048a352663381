"""Models of any size, and random rows, for measurements without a run."""

# B rows, T tokens

import re

import numpy as np

from pretrain.measure.config import ModelConfig
from pretrain.model.architecture import Architecture, random_config, read_architecture
from pretrain.model.checkpoint import load_checkpoint, random_weights
from pretrain.model.weights import Weights
from stackbert.core.checkpoints import RANDOM_PREFIX, is_random, resolve_base
from stackbert.core.errors import require
from tokenizer.encoding.packed_rows import PackedRows

SPECIAL_IDS, FIRST_ID, MASK_ID = (0, 1, 2, 3, 4), 2, 4  # of random rows
Model = tuple[Architecture, Weights]
HEAD_WIDTH = 32  # of LAYERSxWIDTH models, as in MiniLM


def named_model(config: ModelConfig) -> Model:
    """The model that `config.model` names; raises StackbertError where it cannot read rows of that length."""
    architecture, weights = _named(config)
    longest = architecture.max_length
    require(config.row_length <= longest, f"rows of {config.row_length} tokens: {config.model} reads {longest} at most")
    return architecture, weights


def _named(config: ModelConfig) -> Model:
    sized = re.fullmatch(r"([1-9][0-9]?)x([1-9][0-9]{1,4})", config.model)
    if not sized and not is_random(config.model):
        checkpoint = load_checkpoint(resolve_base(config.model))
        return checkpoint.architecture, checkpoint.weights
    size = config.model.removeprefix(RANDOM_PREFIX)
    fields = random_config("small" if sized else size, config.vocab_size)
    if sized:
        layers, width = int(sized[1]), int(sized[2])
        require(width % HEAD_WIDTH == 0, f"model {config.model}: the width must be a multiple of {HEAD_WIDTH}")
        shape = {"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": width // HEAD_WIDTH}
        fields |= shape | {"intermediate_size": 4 * width, "max_position_embeddings": max(512, config.row_length)}
    architecture = read_architecture(fields, config.model)
    return architecture, random_weights(architecture, seed=0)


def random_rows(config: ModelConfig, vocab_size: int) -> PackedRows:
    """Full rows of random ordinary tokens, one text each."""
    ids_BT = np.random.default_rng(0).integers(
        len(SPECIAL_IDS), vocab_size, (4 * config.batch_rows, config.row_length), np.int64
    )
    ids_BT[:, 0] = FIRST_ID
    return PackedRows(ids_BT.astype(np.uint32), FIRST_ID, padding_id=0, text_bytes=0, text_tokens=ids_BT.size)
