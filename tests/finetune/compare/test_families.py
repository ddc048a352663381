"""Checkpoints of other families, with the files that they are published with."""

import json
from dataclasses import replace
from pathlib import Path

from tokenizers import ByteLevelBPETokenizer

from finetune.compare.compare import compare
from finetune.compare.comparison import load_comparison
from finetune.deploy.bundle import load_bundle
from pretrain.model.checkpoint import save_checkpoint
from tests.finetune.questions import LABELS, NOISE, WITHOUT_BASELINES
from tests.pretrain.bases import base_with_weights
from tests.pretrain.tiny import tiny_checkpoint


def published_roberta(folder: Path) -> Path:
    """A checkpoint with the files of published RoBERTa and CodeBERT checkpoints: vocab.json and merges.txt."""
    folder.mkdir()
    trained = ByteLevelBPETokenizer()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(
        [" ".join(NOISE), *LABELS], vocab_size=320, special_tokens=specials, show_progress=False
    )
    checkpoint = tiny_checkpoint("roberta", vocab_size=trained.get_vocab_size())
    save_checkpoint(checkpoint, folder, folder)
    trained.save_model(str(folder))
    names = {"tokenizer_class": "RobertaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "model_max_length": 18}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    return folder


def published_distilbert(folder: Path, vocabulary: Path) -> Path:
    """A checkpoint with the files of published DistilBERT checkpoints: vocab.txt."""
    folder.mkdir()
    save_checkpoint(tiny_checkpoint("distilbert", vocab_size=120), folder, folder)
    (folder / "vocab.txt").write_bytes(vocabulary.read_bytes())
    names = {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": True, "model_max_length": 20}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    return folder


def test_layouts_of_other_families_go_through_the_whole_comparison(
    finished, labelled, small_rows, tiny_base, config, tmp_path
):
    checkpoints = {
        "bert": str(tiny_base),
        "roberta": str(published_roberta(tmp_path / "roberta")),
        "distilbert": str(published_distilbert(tmp_path / "distilbert", small_rows / "tokenizer" / "vocab.txt")),
        "xlm-roberta": str(base_with_weights("xlm_roberta", tmp_path / "xlm-roberta")),
        "electra": str(base_with_weights("electra", tmp_path / "electra")),
        "mpnet": str(base_with_weights("mpnet", tmp_path / "mpnet")),
    }
    one_seed = replace(config, seeds=(0,), reuse=(str(finished),), **WITHOUT_BASELINES)
    compare(labelled, checkpoints, tmp_path / "out", one_seed)
    assert [system.name for system in load_comparison(tmp_path / "out").systems] == list(checkpoints)
    for name in checkpoints:
        (labels,) = load_bundle(tmp_path / "out" / "models" / name).predict(["sort the rows of node.js"])
        assert {label.name for label in labels} == set(LABELS)
