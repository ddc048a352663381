"""Checkpoints as they are published: the tensor names, files and config.json of well-known models, at a tiny size."""

# V vocabulary, H hidden

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from pretrain.model.checkpoint import Checkpoint, hugging_face_tensors
from tests.pretrain.tiny import HIDDEN_DIM, tiny_checkpoint

Tensors = dict[str, np.ndarray]
VOCAB_SIZE, POSITIONS = 120, 34  # as the small rows need, and with RoBERTa's two unread positions
POOLER = {"pooler.dense.weight": (HIDDEN_DIM, HIDDEN_DIM), "pooler.dense.bias": (HIDDEN_DIM,)}


@dataclass(frozen=True)
class Layout:
    """A published form of a checkpoint."""

    imitates: str
    family: str
    publish: Callable[[Tensors], Tensors]
    """From the tensors of the family's MLM class, as current transformers saves them, to those of the file."""
    says: tuple[str, ...] = ()
    """What the notes have to name."""
    config: dict[str, Any] = field(default_factory=dict)
    """Changes of config.json; None stands for null."""
    without: tuple[str, ...] = ()
    """Entries that config.json lacks."""
    has_head: bool = True
    vocab_size: int = VOCAB_SIZE
    shards: int = 1
    encoding: str = "utf-8"
    tolerance: float = 0.0
    """Of the weights, where the file has another precision."""

    def original(self) -> Checkpoint:
        """The checkpoint that is published."""
        return tiny_checkpoint(self.family, self.vocab_size, POSITIONS)

    def write(self, tokenizer: Path, folder: Path) -> None:
        """Write the checkpoint, with the files of `tokenizer`, to `folder`."""
        shutil.copytree(tokenizer, folder)
        (folder / "manifest.json").unlink(missing_ok=True)
        original = self.original()
        config = {"architectures": [self.imitates]} | original.config | self.config
        config = {name: value for name, value in config.items() if name not in self.without}
        (folder / "config.json").write_text(json.dumps(config), self.encoding)
        tensors = self.publish(hugging_face_tensors(original))
        if self.shards == 1:
            save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        else:
            write_shards(tensors, folder, self.shards)


def write_shards(tensors: Tensors, folder: Path, count: int) -> None:
    """Write tensors as transformers does where they exceed max_shard_size."""
    names, index = sorted(tensors), {}
    for number in range(count):
        file = f"model-{number + 1:05}-of-{count:05}.safetensors"
        part = {name: tensors[name] for name in names[number::count]}
        save_file(part, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(part, file)
    content = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))


def extra(**shapes: tuple[int, ...]) -> Tensors:
    """Tensors of a head, of values that would show in the outputs; '__' in a name stands for '.'."""
    generator = np.random.RandomState(5)
    return {name.replace("__", "."): generator.normal(0, 0.5, shape).astype("f4") for name, shape in shapes.items()}


def pooler(prefix: str) -> Tensors:
    return {prefix + name: tensor for name, tensor in extra(**POOLER).items()}


def position_ids(prefix: str) -> Tensors:
    return {f"{prefix}embeddings.position_ids": np.arange(POSITIONS)[None]}


def encoder_only(tensors: Tensors, prefix: str, new_prefix: str | None = None) -> Tensors:
    """The encoder's tensors, under another prefix if one is given."""
    start = prefix if new_prefix is None else new_prefix
    return {start + name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def renamed(tensors: Tensors, change: Callable[[str], str]) -> Tensors:
    return {change(name): tensor for name, tensor in tensors.items()}


def gamma_beta(name: str) -> str:
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


def bert_uncased(tensors: Tensors) -> Tensors:
    """BERT as first published: older LayerNorm names, pooler, next-sentence head, the decoder stored once more."""
    word_VH = tensors["bert.embeddings.word_embeddings.weight"]
    heads = extra(cls__seq_relationship__weight=(2, HIDDEN_DIM), cls__seq_relationship__bias=(2,))
    return renamed(tensors, gamma_beta) | pooler("bert.") | heads | {"cls.predictions.decoder.weight": word_VH}


def with_lm_head_twice(prefix: str) -> Callable[[Tensors], Tensors]:
    """As RoBERTa and MPNet were published: the decoder stored once more, pooler, numbers of positions."""

    def publish(tensors: Tensors) -> Tensors:
        copies = {
            "lm_head.decoder.weight": tensors[f"{prefix}embeddings.word_embeddings.weight"],
            "lm_head.decoder.bias": tensors["lm_head.bias"],
        }
        return tensors | copies | pooler(prefix) | position_ids(prefix)

    return publish


def decoder_holds_the_table(tensors: Tensors) -> Tensors:
    """As safetensors writes tied tensors: only the one whose name comes first in its own order."""
    moved = {
        "bert.embeddings.word_embeddings.weight": "cls.predictions.decoder.weight",
        "cls.predictions.bias": "cls.predictions.decoder.bias",
    }
    return {moved.get(name, name): tensor for name, tensor in tensors.items()}


def as_type(dtype: Any) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: tensor.astype(dtype) for name, tensor in tensors.items()}


def with_classifier(family: str, labels: int = 3) -> Callable[[Tensors], Tensors]:
    heads = {
        "bert": {"classifier__weight": (labels, HIDDEN_DIM), "classifier__bias": (labels,)},
        "distilbert": {
            "pre_classifier__weight": (HIDDEN_DIM, HIDDEN_DIM),
            "pre_classifier__bias": (HIDDEN_DIM,),
            "classifier__weight": (labels, HIDDEN_DIM),
            "classifier__bias": (labels,),
        },
        "roberta": {
            "classifier__dense__weight": (HIDDEN_DIM, HIDDEN_DIM),
            "classifier__dense__bias": (HIDDEN_DIM,),
            "classifier__out_proj__weight": (labels, HIDDEN_DIM),
            "classifier__out_proj__bias": (labels,),
        },
    }
    return lambda tensors: encoder_only(tensors, f"{family}.") | extra(**heads[family])


def modernbert_mlm(tensors: Tensors) -> Tensors:
    return tensors | {"decoder.weight": tensors["model.embeddings.tok_embeddings.weight"]}


def modernbert_classifier(tensors: Tensors) -> Tensors:
    """Its head has the names of the MLM head's."""
    heads = extra(classifier__weight=(3, HIDDEN_DIM), classifier__bias=(3,))
    return {name: tensor for name, tensor in tensors.items() if name != "decoder.bias"} | heads


NULLS = dict.fromkeys(["hidden_act", "position_embedding_type", "type_vocab_size", "pad_token_id", "is_decoder"])
SIZES = ("hidden_act", "type_vocab_size", "pad_token_id")

LAYOUTS: dict[str, Layout] = {
    "bert-base-uncased": Layout(
        "BertForMaskedLM",
        "bert",
        bert_uncased,
        ("cls.seq_relationship (50 weights)", "bert.pooler.dense (600 weights)"),
    ),
    "bert, saved again": Layout("BertForMaskedLM", "bert", dict),
    "all-MiniLM-L6-v2": Layout(
        "BertModel",
        "bert",
        lambda t: encoder_only(t, "bert.", "") | pooler("") | position_ids(""),
        ("pooler.dense (600 weights)", "embeddings.position_ids (34 weights)"),
        has_head=False,
    ),
    "bert-base-cased-squad2": Layout(
        "BertForQuestionAnswering",
        "bert",
        lambda t: encoder_only(t, "bert.") | extra(qa_outputs__weight=(2, HIDDEN_DIM), qa_outputs__bias=(2,)),
        ("qa_outputs (50 weights)",),
        has_head=False,
    ),
    "bert-base-NER": Layout(
        "BertForTokenClassification", "bert", with_classifier("bert"), ("classifier (75 weights)",), has_head=False
    ),
    "distilbert-base-uncased": Layout(
        "DistilBertForMaskedLM",
        "distilbert",
        lambda t: t | {"vocab_projector.weight": t["distilbert.embeddings.word_embeddings.weight"]},
    ),
    "distilbert-base-uncased-finetuned-sst-2-english": Layout(
        "DistilBertForSequenceClassification",
        "distilbert",
        with_classifier("distilbert"),
        ("pre_classifier (600 weights)", "classifier (75 weights)"),
        has_head=False,
    ),
    "roberta-base": Layout(
        "RobertaForMaskedLM",
        "roberta",
        with_lm_head_twice("roberta."),
        ("pooler.dense", "position_ids"),
        {"layer_norm_eps": 1e-5},
    ),
    "twitter-roberta-base-sentiment": Layout(
        "RobertaForSequenceClassification",
        "roberta",
        with_classifier("roberta"),
        ("classifier.dense (600 weights)", "classifier.out_proj (75 weights)"),
        has_head=False,
    ),
    "xlm-roberta-base": Layout(
        "XLMRobertaForMaskedLM", "xlm-roberta", with_lm_head_twice("roberta."), ("pooler.dense",)
    ),
    "electra-small-generator": Layout(
        "ElectraForMaskedLM",
        "electra",
        lambda t: t | {"generator_lm_head.weight": t["electra.embeddings.word_embeddings.weight"]},
    ),
    "electra-small-discriminator": Layout(
        "ElectraForPreTraining",
        "electra",
        lambda t: (
            encoder_only(t, "electra.")
            | extra(
                discriminator_predictions__dense__weight=(HIDDEN_DIM, HIDDEN_DIM),
                discriminator_predictions__dense__bias=(HIDDEN_DIM,),
                discriminator_predictions__dense_prediction__weight=(1, HIDDEN_DIM),
                discriminator_predictions__dense_prediction__bias=(1,),
            )
        ),
        (
            "discriminator_predictions.dense (600 weights)",
            "discriminator_predictions.dense_prediction (25 weights)",
        ),
        has_head=False,
    ),
    "mpnet-base": Layout("MPNetForMaskedLM", "mpnet", with_lm_head_twice("mpnet."), ("pooler.dense", "position_ids")),
    "all-mpnet-base-v2": Layout(
        "MPNetForMaskedLM",
        "mpnet",
        lambda t: encoder_only(t, "mpnet.", "") | pooler("") | position_ids(""),
        ("pooler.dense (600 weights)", "embeddings.position_ids (34 weights)"),
        has_head=False,
    ),
    "camembert-base": Layout("CamembertForMaskedLM", "camembert", with_lm_head_twice("roberta."), ("pooler.dense",)),
    "scibert_scivocab_uncased": Layout(
        "BertForMaskedLM",
        "bert",
        bert_uncased,
        ("no model_type; the checkpoint is read as bert", "pooler"),
        without=("model_type", "architectures", "layer_norm_eps", "pad_token_id"),
        config={"layer_norm_eps": 1e-12},
    ),
    "ModernBERT-base": Layout("ModernBertForMaskedLM", "modernbert", modernbert_mlm),
    "ettin-encoder-32m, before transformers 5": Layout(
        "ModernBertForMaskedLM",
        "modernbert",
        dict,
        without=("layer_types", "rope_parameters"),
        config={"global_attn_every_n_layers": 2, "global_rope_theta": 400.0, "local_rope_theta": 30.0},
    ),
    "modernbert-base-classifier": Layout(
        "ModernBertForSequenceClassification",
        "modernbert",
        modernbert_classifier,
        ("classifier (75 weights)", "head.dense (576 weights)", "head.norm (24 weights)"),
        has_head=False,
    ),
    "two shards": Layout("BertForMaskedLM", "bert", bert_uncased, ("pooler",), shards=2),
    "DataParallel": Layout(
        "BertForMaskedLM",
        "bert",
        lambda t: renamed(bert_uncased(t), lambda name: f"module.{name}"),
        ("all tensor names begin with 'module.', which was removed", "cls.seq_relationship"),
    ),
    "torch.compile": Layout(
        "BertForMaskedLM", "bert", lambda t: renamed(t, lambda name: f"_orig_mod.{name}"), ("'_orig_mod.'",)
    ),
    "bi-encoder": Layout(
        "BertModel",
        "bert",
        lambda t: encoder_only(t, "bert.", "bi_encoder.bert.") | extra(bi_encoder__scale__weight=(2, HIDDEN_DIM)),
        ("'bi_encoder.', which was removed", "scale (48 weights)"),
        has_head=False,
    ),
    "colbertv2.0": Layout(
        "HF_ColBERT",
        "bert",
        lambda t: encoder_only(t, "bert.") | extra(linear__weight=(8, HIDDEN_DIM)),
        ("linear (192 weights)",),
        has_head=False,
    ),
    "sentence-transformers with Dense": Layout(
        "BertModel",
        "bert",
        lambda t: encoder_only(t, "bert.", "0.auto_model.") | extra(**{"2.linear.weight": (8, HIDDEN_DIM)}),
        ("'0.auto_model.'", "2.linear (192 weights)"),
        has_head=False,
    ),
    "safetensors of tied tensors": Layout("BertForMaskedLM", "bert", decoder_holds_the_table),
    "bfloat16": Layout("BertForMaskedLM", "bert", as_type(ml_dtypes.bfloat16), tolerance=1 / 128),
    "float16": Layout("RobertaForMaskedLM", "roberta", as_type(np.float16), tolerance=1 / 1024),
    "float64": Layout("DistilBertForMaskedLM", "distilbert", as_type(np.float64)),
    "padded vocabulary": Layout("BertForMaskedLM", "bert", dict, vocab_size=128),
    "nulls in config.json": Layout("BertForMaskedLM", "bert", dict, config=NULLS | {"tie_word_embeddings": None}),
    "defaults not in config.json": Layout("BertForMaskedLM", "bert", dict, without=SIZES),
    "byte order mark in config.json": Layout("BertForMaskedLM", "bert", dict, encoding="utf-8-sig"),
    "tie_word_embeddings false, equal tables": Layout(
        "BertForMaskedLM", "bert", bert_uncased, ("pooler",), config={"tie_word_embeddings": False}
    ),
}
