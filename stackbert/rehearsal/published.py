"""Layouts of checkpoints on the Hugging Face hub: what of their published files decides whether a study runs."""

from dataclasses import dataclass
from typing import Any, Literal

Form = Literal["wordpiece", "byte-level", "byte-level json", "sentencepiece"]


@dataclass(frozen=True)
class Published:
    """Fields of a checkpoint's published `config.json`, and the form of its tokenizer's files."""

    model_type: str
    vocab_size: int
    max_position_embeddings: int
    pad_token_id: int
    type_vocab_size: int | None
    """None in DistilBERT and ModernBERT, which have no token types."""
    form: Form
    """'wordpiece': vocab.txt. 'byte-level': vocab.json and merges.txt. 'byte-level json': tokenizer.json, in which the
    special tokens follow the vocabulary. 'sentencepiece': sentencepiece.bpe.model."""
    cased: bool = True
    first_special: int = 0
    """Id of [UNK], which [CLS], [SEP] and [MASK] follow; unused tokens fill the ids between [PAD] and it. WordPiece
    only."""
    says_case: bool = True
    """Whether a tokenizer_config.json with do_lower_case is published. WordPiece only."""
    pytorch_only: bool = False
    """Whether its weights are published as pytorch_model.bin and not as safetensors."""
    language: Literal["en", "fr"] = "en"

    @property
    def config(self) -> dict[str, Any]:
        """These fields as `config.json` names them."""
        names = ("model_type", "vocab_size", "max_position_embeddings", "pad_token_id", "type_vocab_size")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def _bert(vocab_size: int, cased: bool, first_special: int = 100, **others: Any) -> Published:
    return Published("bert", vocab_size, 512, 0, 2, "wordpiece", cased, first_special, **others)


def _distilbert(vocab_size: int, cased: bool) -> Published:
    return Published("distilbert", vocab_size, 512, 0, None, "wordpiece", cased, 100)


def _roberta(**others: Any) -> Published:
    return Published("roberta", 50_265, 514, 1, 1, "byte-level", **others)


def _modernbert(**others: Any) -> Published:
    return Published("modernbert", 50_368, 8_192, 50_283, None, "byte-level json", **others)


PUBLISHED: dict[str, Published] = {
    "sentence-transformers/all-MiniLM-L6-v2": _bert(30_522, cased=False),
    "google-bert/bert-base-uncased": _bert(30_522, cased=False),
    "google-bert/bert-base-cased": _bert(28_996, cased=True),
    "distilbert/distilbert-base-uncased": _distilbert(30_522, cased=False),
    "distilbert/distilbert-base-cased": _distilbert(28_996, cased=True),
    "distilbert/distilbert-base-multilingual-cased": _distilbert(119_547, cased=True),
    "allenai/scibert_scivocab_uncased": _bert(31_090, False, 101, says_case=False, pytorch_only=True),
    "allenai/scibert_scivocab_cased": _bert(31_116, True, 101, says_case=False, pytorch_only=True),
    "FacebookAI/roberta-base": _roberta(),
    "distilbert/distilroberta-base": _roberta(),
    "microsoft/codebert-base": _roberta(pytorch_only=True),
    "answerdotai/ModernBERT-base": _modernbert(),
    "jhu-clsp/ettin-encoder-17m": _modernbert(pytorch_only=True),
    "jhu-clsp/ettin-encoder-32m": _modernbert(pytorch_only=True),
    "jhu-clsp/ettin-encoder-68m": _modernbert(pytorch_only=True),
    "almanach/camembert-base": Published("camembert", 32_005, 514, 1, 1, "sentencepiece", language="fr"),
}
"""By hub id; the fields of https://huggingface.co/ID/blob/main/config.json, and the names of the files beside it."""
