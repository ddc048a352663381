"""Which configurations the encoder supports, and which it refuses."""

from typing import Any

import pytest

from pretrain.model.architecture import SIZES, hugging_face_names, random_config, read_architecture, weight_shapes
from stackbert.core.errors import StackbertError
from tests.pretrain.tiny import CONFIGS

SIZED = {"vocab_size": 48, "max_position_embeddings": 20}


def config(family: str = "bert", **changes: Any) -> dict[str, Any]:
    return CONFIGS[family] | SIZED | changes


@pytest.mark.parametrize("family", [None, "gpt2", "modernbert", "", ["bert"]])
def test_unsupported_family_is_named(family):
    with pytest.raises(
        StackbertError, match=r"here: model_type is .*; supported are bert, distilbert, roberta, camembert"
    ):
        read_architecture(config(model_type=family), "here")


@pytest.mark.parametrize(
    ("family", "name", "value"),
    [
        ("bert", "hidden_act", "relu"),
        ("bert", "hidden_act", "gelu_new"),
        ("distilbert", "activation", "relu"),
        ("bert", "position_embedding_type", "relative_key"),
        ("bert", "is_decoder", True),
        ("roberta", "tie_word_embeddings", False),
    ],
)
def test_unsupported_variants_are_refused(family, name, value):
    with pytest.raises(StackbertError, match=f"{name} is {value!r}; the encoder supports"):
        read_architecture(config(family, **{name: value}), "here")


@pytest.mark.parametrize("name", ["hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings"])
def test_missing_sizes_are_named(name):
    fields = config()
    del fields[name]
    with pytest.raises(StackbertError, match=f"config.json lacks {name}"):
        read_architecture(fields, "here")


def test_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(StackbertError, match="hidden_size 24 is not a multiple of num_attention_heads 5"):
        read_architecture(config(num_attention_heads=5), "here")


@pytest.mark.parametrize("family", ["roberta", "camembert"])
def test_roberta_counts_positions_from_the_id_of_padding(family):
    for padding in (0, 1, 3):
        architecture = read_architecture(config(family, pad_token_id=padding), "here")
        assert architecture.first_position == padding + 1
        assert architecture.max_length == 20 - padding - 1
    assert read_architecture(config("bert", pad_token_id=3), "here").max_length == 20


@pytest.mark.parametrize("family", CONFIGS)
def test_every_weight_has_its_own_tensors(family):
    architecture = read_architecture(config(family), "here")
    names = hugging_face_names(architecture)
    assert names.keys() == weight_shapes(architecture).keys()
    tensors = [tensor for group in names.values() for tensor in group]
    assert len(tensors) == len(set(tensors))


@pytest.mark.parametrize("size", SIZES)
def test_named_sizes_can_be_read(size):
    architecture = read_architecture(random_config(size, 100), size)
    assert (architecture.num_layers, architecture.hidden_dim) == SIZES[size]
    assert architecture.hidden_dim // architecture.num_heads == 64


def test_unknown_size_names_the_sizes():
    with pytest.raises(StackbertError, match="base 'random-huge': the sizes are tiny, mini, small, medium"):
        random_config("huge", 100)
