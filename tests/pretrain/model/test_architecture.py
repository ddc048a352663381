"""Which configurations the encoder supports, and which it refuses."""

import importlib.util
import re
from typing import Any

import pytest

from pretrain.model.architecture import (
    SIZES,
    hugging_face_names,
    random_config,
    read_architecture,
    weight_shapes,
)
from pretrain.model.rotary_config import RotaryLayer
from stackbert.core.errors import StackbertError
from stackbert.core.families.table import FAMILIES
from tests.pretrain.tiny import CONFIGS

OFFSET = ("roberta", "camembert", "xlm-roberta")  # families that count positions from the id of padding
"""Count positions from the id of padding."""
SIZED = {"vocab_size": 48, "max_position_embeddings": 20}


def config(family: str = "bert", **changes: Any) -> dict[str, Any]:
    return CONFIGS[family] | SIZED | changes


@pytest.mark.parametrize("family", [None, "gpt2", "longformer", "xlnet", "albert", "BERT", "", ["bert"]])
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
        ("bert", "is_decoder", "false"),
        ("roberta", "add_cross_attention", True),
        ("mpnet", "relative_attention_num_buckets", 64),
        ("bert", "pruned_heads", {"0": [1]}),
        ("bert", "quantization_config", {"bits": 4}),
        ("modernbert", "hidden_activation", "silu"),
        ("modernbert", "norm_bias", True),
        ("modernbert", "decoder_bias", False),
        ("modernbert", "rope_scaling", {"factor": 4}),
    ],
)
def test_unsupported_variants_are_refused(family, name, value):
    with pytest.raises(StackbertError, match=re.escape(f"{name} is {value!r}; the encoder supports")):
        read_architecture(config(family, **{name: value}), "here")


@pytest.mark.parametrize("family", CONFIGS)
def test_missing_entries_and_nulls_take_the_defaults_of_the_family(family):
    bare = read_architecture({"model_type": family}, "here")
    assert bare == read_architecture(dict.fromkeys(CONFIGS[family]) | {"model_type": family}, "here")
    longest = 510 if family in (*OFFSET, "mpnet") else 512
    expected = {"electra": (256, 4, 1_024, 512), "modernbert": (768, 12, 1_152, 8_192)}
    found = bare.hidden_dim, bare.num_heads, bare.intermediate_dim, bare.max_length
    assert found == expected.get(family, (768, 12, 3_072, longest))
    assert bare.embedding_dim == (128 if family == "electra" else 768)
    assert bare.num_layers == {"distilbert": 6, "modernbert": 22}.get(family, 12)
    assert bare.vocab_size == {"roberta": 50_265, "modernbert": 50_368, "mpnet": 30_527}.get(family, 30_522)


@pytest.mark.torch
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("family", CONFIGS)
def test_defaults_are_those_of_transformers(family):
    from transformers import AutoConfig

    theirs = AutoConfig.for_model(family)
    names, defaults = FAMILIES[family].own_fields, FAMILIES[family].defaults
    assert {name: getattr(theirs, names.get(name, name)) for name in defaults} == defaults


@pytest.mark.parametrize(
    ("family", "name", "value"),
    [
        ("bert", "hidden_size", "24"),
        ("bert", "hidden_size", 24.0),
        ("bert", "num_hidden_layers", 0),
        ("bert", "num_attention_heads", True),
        ("distilbert", "n_layers", -2),
        ("distilbert", "dim", [24]),
        ("roberta", "type_vocab_size", 0),
        ("bert", "vocab_size", {}),
        ("roberta", "pad_token_id", -1),
        ("bert", "pad_token_id", 48),
        ("camembert", "pad_token_id", "1"),
        ("bert", "layer_norm_eps", 0),
        ("bert", "layer_norm_eps", "1e-12"),
        ("roberta", "layer_norm_eps", float("nan")),
        ("bert", "layer_norm_eps", True),
    ],
)
def test_values_that_cannot_be_are_named(family, name, value):
    with pytest.raises(StackbertError, match=re.escape(f"here: {name} is {value!r}; it must be")):
        read_architecture(config(family, **{name: value}), "here")


V4 = {"global_attn_every_n_layers": 3, "global_rope_theta": 5e4, "local_rope_theta": 2e4, "local_attention": 9}


def modernbert_layers(**fields: Any) -> tuple[RotaryLayer, ...]:
    sizes = {"model_type": "modernbert", "num_hidden_layers": 4}
    return read_architecture(sizes | fields, "here").rotary_layers


def test_layers_of_modernbert_are_read_from_both_ways_of_writing_them():
    expected = (RotaryLayer(5e4, 0), RotaryLayer(2e4, 4), RotaryLayer(2e4, 4), RotaryLayer(5e4, 0))
    assert modernbert_layers(**V4) == expected
    kinds = ["full_attention", "sliding_attention", "sliding_attention", "full_attention"]
    bases = {"full_attention": {"rope_theta": 5e4, "rope_type": "default"}, "sliding_attention": {"rope_theta": 2e4}}
    assert modernbert_layers(layer_types=kinds, rope_parameters=bases, local_attention=9) == expected
    assert modernbert_layers()[:2] == (RotaryLayer(160_000.0, 0), RotaryLayer(10_000.0, 64))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"global_attn_every_n_layers": 0}, "global_attn_every_n_layers is 0; it must be"),
        ({"local_attention": 1}, "local_attention is 1; it must be 2 or more"),
        ({"global_rope_theta": "1e4"}, "global_rope_theta is '1e4'; it must be a number above 1"),
        ({"layer_types": ["full_attention"]}, "layer_types has 1 entries, but num_hidden_layers is 4"),
        ({"layer_types": ["chunked_attention"] * 4}, "layer_types is ['chunked_attention'"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, "rope_type is 'yarn'; the encoder supports"),
        ({"rope_parameters": {"full_attention": {"factor": 2}}}, "rope_parameters of full_attention is {'factor': 2};"),
        ({"rope_parameters": 3}, "rope_parameters of full_attention is 3; the encoder supports"),
    ],
)
def test_layers_of_modernbert_that_cannot_be_are_named(fields, said):
    with pytest.raises(StackbertError, match=re.escape(f"here: {said}")):
        modernbert_layers(**fields)


def test_distilbert_may_use_the_names_of_bert():
    fields = config("distilbert")
    fields |= {"hidden_size": fields.pop("dim"), "num_hidden_layers": fields.pop("n_layers")}
    assert read_architecture(fields, "here") == read_architecture(config("distilbert"), "here")
    with pytest.raises(StackbertError, match="dim 32 and hidden_size 24 contradict each other"):
        read_architecture(fields | {"dim": 32}, "here")


def test_modernbert_has_its_own_names_only():
    """As in transformers, which ignores BERT's beside them; mmBERT's position_embedding_type changes nothing either."""
    fields = config("modernbert", layer_norm_eps=1e-12, position_embedding_type="sans_pos")
    assert read_architecture(fields, "here").norm_epsilon == 1e-5
    assert read_architecture(fields | {"norm_eps": 1e-6}, "here").norm_epsilon == 1e-6


def test_positions_that_padding_takes_up_are_refused():
    with pytest.raises(StackbertError, match="max_position_embeddings 20 leaves no position for text"):
        read_architecture(config("roberta", pad_token_id=19), "here")


def test_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(StackbertError, match="hidden_size 24 is not a multiple of num_attention_heads 5"):
        read_architecture(config(num_attention_heads=5), "here")


@pytest.mark.parametrize("family", OFFSET)
def test_roberta_counts_positions_from_the_id_of_padding(family):
    for padding in (0, 1, 3):
        architecture = read_architecture(config(family, pad_token_id=padding), "here")
        assert architecture.first_position == padding + 1
        assert architecture.max_length == 20 - padding - 1
    assert read_architecture(config("bert", pad_token_id=3), "here").max_length == 20


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_mpnet_counts_positions_from_a_constant(padding):
    architecture = read_architecture(config("mpnet", pad_token_id=padding), "here")
    assert (architecture.first_position, architecture.max_length) == (2, 18)


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
