"""What is passed over, what is read under another name, and what is refused because it would be another encoder."""

import random

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pretrain.model.checkpoint import load_checkpoint, save_checkpoint
from pretrain.model.stored_tensors import CheckpointError
from tests.pretrain.model.rewriting import LAYER, WORD, Tensors, add, assert_encoder_is, rewrite
from tests.pretrain.tiny import HIDDEN_DIM, tiny_checkpoint

# passed over, and said


@pytest.mark.parametrize(
    "head",
    [
        "qa_outputs",
        "classifier",
        "pooler.dense",
        "cls.seq_relationship",
        "linear",
        "projection",
        "text_projection",
        "dense",
        "score",
        "sop_classifier.classifier",
        "mlp.dense",
        "span_head.out",
        "fc1",
        "output",
        "crf.transitions",
    ],
)
@pytest.mark.parametrize("form", ["with prefix", "inside the prefix", "without prefix"])
def test_heads_and_projections_are_passed_over_wherever_they_stand(head, form, bert):
    inside = "bert." if form == "inside the prefix" else ""
    add(bert, **{f"{inside}{head}.weight": (2, HIDDEN_DIM), f"{inside}{head}.bias": (2,)})
    if form == "without prefix":
        rewrite(
            bert, lambda tensors: {n.removeprefix("bert."): t for n, t in tensors.items() if "predictions" not in n}
        )
    assert load_checkpoint(bert).notes == (
        f"passed over, as not of the encoder or its MLM head: {inside}{head} (50 weights)",
    )
    assert_encoder_is("bert", bert)


@pytest.mark.parametrize(
    "name", ["bert.embeddings.position_ids", "classifier.1.num_batches_tracked", "bert.embeddings.token_type_ids"]
)
def test_buffers_are_passed_over(name, bert):
    rewrite(bert, lambda tensors: tensors | {name: np.arange(4)})
    assert load_checkpoint(bert).notes == (f"passed over, as not of the encoder or its MLM head: {name} (4 weights)",)


def test_what_stands_beside_the_encoder_in_a_larger_model_is_passed_over(bert):
    add(bert, scale=(), fusion__weight=(3, 3), **{f"tower.{n}.weight": (2, 2) for n in range(9)})
    (note,) = load_checkpoint(bert).notes
    assert note.startswith("passed over, as not of the encoder or its MLM head: fusion (9 weights), scale (1 weights)")
    assert note.endswith("and 5 more")


# a prefix


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "encoder.", "transformer.", "a.b.c.", "0.auto_model.", "bert."]
)
def test_common_prefix_is_removed_and_said(prefix, any_family):
    rewrite(any_family, lambda tensors: {prefix + name: tensor for name, tensor in tensors.items()})
    loaded = load_checkpoint(any_family)
    assert loaded.notes == (f"all tensor names begin with '{prefix}', which was removed",)
    assert loaded.has_mlm_head
    assert_encoder_is(loaded.architecture.family.name, any_family)


@pytest.mark.parametrize("prefix", ["module.", "model.", "encoder.", "transformer.", "question_model."])
def test_prefix_of_a_bare_encoder_is_removed_and_said(prefix, any_family):
    family = load_checkpoint(any_family).architecture.family.name
    own = f"{family}."
    rewrite(any_family, lambda ts: {prefix + n.removeprefix(own): t for n, t in ts.items() if n.startswith(own)})
    assert load_checkpoint(any_family).notes == (f"all tensor names begin with '{prefix}', which was removed",)
    assert_encoder_is(family, any_family)


def test_encoder_with_a_prefix_beside_a_head_without_is_read_and_said(bert):
    rewrite(bert, lambda ts: {f"model.{n}" if n.startswith("bert.") else n: t for n, t in ts.items()})
    loaded = load_checkpoint(bert)
    assert loaded.notes == ("the encoder is what stands under 'model.bert.'",)
    assert loaded.has_mlm_head
    assert_encoder_is("bert", bert)


def test_names_of_compiled_and_sharded_modules_are_read(bert):
    def wrap(name: str) -> str:
        return f"_fsdp_wrapped_module.{name.replace('encoder.layer.', 'encoder.layer._orig_mod.')}"

    rewrite(bert, lambda tensors: {wrap(name): tensor for name, tensor in tensors.items()})
    assert "torch.compile or FSDP" in load_checkpoint(bert).notes[0]
    assert_encoder_is("bert", bert)


def test_two_encoders_in_one_file_are_refused_with_their_places(bert):
    rewrite(bert, lambda ts: {f"{tower}.{n}": t for n, t in ts.items() for tower in ("query", "passage")})
    with pytest.raises(
        CheckpointError, match=r"holds 2 encoders, under 'passage\.bert\.', 'query\.bert\.'; save the one"
    ):
        load_checkpoint(bert)


def test_file_without_an_encoder_names_what_it_holds(bert):
    rewrite(bert, lambda tensors: {"wte.weight": tensors[WORD]})
    with pytest.raises(
        CheckpointError, match=r"holds no encoder of the families .*; its names are such as wte\.weight$"
    ):
        load_checkpoint(bert)
    rewrite(bert, lambda tensors: {})
    with pytest.raises(CheckpointError, match="it is empty"):
        load_checkpoint(bert)


def test_tensors_of_another_family_are_refused(any_family):
    family = load_checkpoint(any_family).architecture.family.name
    other = "roberta" if family == "bert" else "bert"
    rewrite(any_family, lambda tensors: {n.replace(f"{family}.", f"{other}."): t for n, t in tensors.items()})
    with pytest.raises(CheckpointError, match=rf"begin with '{other}\.', but config.json's model_type is '{family}'"):
        load_checkpoint(any_family)


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "electra", "mpnet"])
def test_family_that_config_json_does_not_name_is_that_of_the_tensors(family, tmp_path):
    save_checkpoint(tiny_checkpoint(family), tmp_path, tmp_path)
    rewrite(tmp_path, dict, model_type=None, architectures=None)
    loaded = load_checkpoint(tmp_path)
    assert loaded.notes == (f"config.json has no model_type; the checkpoint is read as {family}",)
    assert loaded.architecture.family.name == family
    rewrite(tmp_path, lambda ts: {n.removeprefix(f"{family}."): t for n, t in ts.items() if n.startswith(family)})
    with pytest.raises(CheckpointError, match="has no model_type; add it, one of bert, distilbert"):
        load_checkpoint(tmp_path)


# the encoder's, and not understood


@pytest.mark.parametrize(
    "name",
    [
        f"{LAYER}.attention.self.distance_embedding.weight",
        f"{LAYER}.attention.self.rotary_emb.inv_freq",
        f"{LAYER}.output.LayerNorm2.weight",
        f"{LAYER}.output.adapters.code.down.weight",
        f"{LAYER}.crossattention.self.query.weight",
        f"{LAYER}.output.dense.weight_scale",
        f"{LAYER}.output.dense.num_batches",
        "bert.encoder.LayerNorm.weight",
        "bert.encoder.relative_attention_bias.weight",
        "bert.embeddings.projection.weight",
        "bert.embeddings_project.weight",
        "bert.final_norm.weight",
        "bert.prefix_encoder.embedding.weight",
        "prompt_encoder.default.embedding.weight",
        "other.encoder.layer.0.output.dense.weight",
        "cls.predictions.transform.dense2.weight",
    ],
)
def test_further_parts_of_the_encoder_or_its_head_are_refused(name, bert):
    add(bert, **{name: (3, 3)})
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(bert)
    assert f"does not match its config.json: unexpected {name}; " in str(error.value)
    assert "\n" not in str(error.value)


def test_adapters_of_peft_are_refused_with_the_cure(bert):
    def adapted(tensors: Tensors) -> Tensors:
        query = {n: t for n, t in tensors.items() if ".query." in n}
        rest = {f"base_model.model.{n}": t for n, t in tensors.items() if n not in query}
        for name, tensor in query.items():
            module, leaf = name.rsplit(".", 1)
            rest[f"base_model.model.{module}.base_layer.{leaf}"] = tensor
            rest[f"base_model.model.{module}.lora_A.default.weight"] = np.ones((2, HIDDEN_DIM), "f4")
        return rest

    rewrite(bert, adapted)
    with pytest.raises(
        CheckpointError, match=r"lora_A.*; merge the adapters into the weights first \(merge_and_unload"
    ):
        load_checkpoint(bert)


# any change


MODULES = "adapter cls embeddings encoder head layer linear module norm pooler proj query relative x".split()


def changed(tensors: Tensors, draw: random.Random) -> Tensors:
    """The tensors after a few changes of names, of what is there, and of types; values of the encoder stay."""
    for _ in range(draw.randint(1, 3)):
        names, prefix = sorted(tensors), f"{draw.choice(MODULES)}."
        one = draw.choice(names)
        parts = one.split(".")
        at = draw.randrange(len(parts))
        other = ".".join([*parts[:at], draw.choice(MODULES), *parts[at + draw.randint(0, 1) :]])
        if other in tensors:
            continue
        match draw.randrange(7):
            case 0:
                tensors = {prefix + name: tensor for name, tensor in tensors.items()}
            case 1:
                tensors = {(prefix if draw.random() < 0.5 else "") + name: t for name, t in tensors.items()}
            case 2:
                tensors = {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}
            case 3:
                tensors = {name: tensor for name, tensor in tensors.items() if name != one}
            case 4:
                tensors = {other if name == one else name: tensor for name, tensor in tensors.items()}
            case 5:
                tensors = tensors | {other: np.full((HIDDEN_DIM, HIDDEN_DIM), 9, "f4")}
            case 6:
                tensors = tensors | {one: tensors[one].astype(draw.choice(["f4", "f8", "i4"]))}
    return tensors


def test_any_change_gives_the_same_encoder_or_an_error_in_a_line(bert):
    """Never a layer that is dropped, made anew or taken from elsewhere."""
    original, read, refusals = load_file(bert / "model.safetensors"), 0, list[str]()
    for seed in range(600):
        save_file(changed(original, random.Random(seed)), bert / "model.safetensors")
        try:
            loaded = load_checkpoint(bert)
        except CheckpointError as error:
            refusals.append(str(error))
            continue
        for name, expected in tiny_checkpoint("bert").weights.items():
            if loaded.has_mlm_head or not name.startswith("mlm/"):
                np.testing.assert_array_equal(loaded.weights[name], expected, err_msg=f"{seed}: {name}")
        read += 1
    assert min(read, len(refusals)) > 50
    assert max(map(len, refusals)) < 1_500
    assert not any("\n" in refusal for refusal in refusals)


# names


def test_old_and_current_name_of_one_tensor_are_refused(bert):
    add(bert, **{"bert.embeddings.LayerNorm.gamma": (HIDDEN_DIM,)})
    with pytest.raises(CheckpointError, match=r"are one tensor, bert\.embeddings\.LayerNorm\.weight; remove one"):
        load_checkpoint(bert)


def test_control_characters_of_names_are_not_printed(bert):
    add(bert, **{"bert.\x1b[31mmore": (2,)})
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(bert)
    assert "\x1b" not in str(error.value)
