"""The chain from text to an exported checkpoint, for tokenizers in each form in which they are published."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pretrain.config import MergeConfig, PretrainConfig
from pretrain.merge import merge_checkpoints
from pretrain.model.checkpoint import load_checkpoint, save_checkpoint
from pretrain.run import run_pretraining
from pretrain.train.trainer import Trainer
from stackbert.core.checkpoints import export_folder
from stackbert.core.errors import StackbertError
from tests.pretrain.tiny import tiny_checkpoint
from tests.tokenizer.made_corpus import random_posts, write_corpus
from tests.tokenizer.made_tokenizers import FORMS, random_texts
from tokenizer.config import EncodeConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.encoding.reader import load_reader

CONFIG = PretrainConfig(steps=2, batch_rows=4, exports=1, evaluations=0, precision="float32", validation_rows=8)


def base_with_weights(form: str, folder: Path) -> Path:
    source = FORMS[form](folder / "source")
    base = shutil.copytree(source, folder / "base")
    settings = json.loads((source / "config.json").read_text())
    checkpoint = tiny_checkpoint(settings["model_type"], settings["vocab_size"])
    save_checkpoint(replace(checkpoint, config=settings), source, base)
    return base


def rows_of(base: Path, folder: Path) -> Path:
    write_corpus(folder / "posts", random_posts()[:80])
    encode_rows(folder / "posts", base, folder / "rows", EncodeConfig(row_length=16, validation_share=0.2))
    return folder / "rows"


@pytest.mark.parametrize(
    "form", ["added_tokens", "repeated_lines", "padded_table", "byte_level", "camembert", "modernbert"]
)
def test_tokenizer_goes_through_pretraining_and_merging_unchanged(form, tmp_path):
    base = base_with_weights(form, tmp_path)
    rows = rows_of(base, tmp_path)
    run_pretraining(rows, base, tmp_path / "adapted", replace(CONFIG, base=str(base)))
    merge_checkpoints(base, tmp_path / "adapted", tmp_path / "merged", MergeConfig())
    expected, texts = load_reader(tmp_path / "source"), random_texts(seed=6, number=100)
    ids = list(expected.ids_without_specials(texts))
    for out in (tmp_path / "adapted", export_folder(tmp_path / "adapted", 1), tmp_path / "merged"):
        found = load_reader(out)
        assert found.tokens() == expected.tokens()
        assert found.special_ids == expected.special_ids
        assert list(found.ids_without_specials(texts)) == ids
    before, after = (load_checkpoint(folder).weights["embeddings/word"] for folder in (base, tmp_path / "adapted"))
    assert before.shape == after.shape
    assert np.isfinite(after).all()


def test_tokenizer_that_changes_during_a_run_is_not_exported_in_place_of_the_one_that_was_used(tmp_path, monkeypatch):
    base = base_with_weights("wordpiece", tmp_path)
    rows = rows_of(base, tmp_path)
    used = shutil.copytree(base, tmp_path / "used")
    loop = Trainer._loop

    def change_and_loop(trainer: Trainer) -> None:
        loop(trainer)
        path = used / "vocab.txt"
        path.write_text(path.read_text("utf-8").replace("numpy\n", "pandas\n"), "utf-8")

    monkeypatch.setattr(Trainer, "_loop", change_and_loop)
    with pytest.raises(StackbertError, match="encoded with another tokenizer"):
        run_pretraining(rows, used, tmp_path / "adapted", replace(CONFIG, base=str(base), exports=0))
    assert not (tmp_path / "adapted").exists()
