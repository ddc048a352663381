"""The chain from text to an exported checkpoint, for tokenizers in each form in which they are published."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pretrain.config import MergeConfig, PretrainConfig
from pretrain.merge import merge_checkpoints
from pretrain.model.checkpoint import load_checkpoint
from pretrain.run import run_pretraining
from pretrain.train.trainer import Trainer
from stackbert.core.checkpoints import export_folder
from stackbert.core.errors import StackbertError
from tests.pretrain.bases import base_with_weights
from tests.tokenizer.made_corpus import random_posts, write_corpus
from tests.tokenizer.made_tokenizers import FORMS, random_texts
from tokenizer.config import EncodeConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.encoding.reader import load_reader

CONFIG = PretrainConfig(steps=2, batch_rows=4, exports=1, evaluations=0, precision="float32", validation_rows=8)
FORMS_TO_TRAIN = (
    *("added_tokens", "repeated_lines", "padded_table", "byte_level", "camembert"),
    *("modernbert", "xlm_roberta", "electra", "mpnet"),
)


def rows_of(base: Path, folder: Path) -> Path:
    write_corpus(folder / "posts", random_posts()[:80])
    encode_rows(folder / "posts", base, folder / "rows", EncodeConfig(row_length=16, validation_share=0.2))
    return folder / "rows"


@pytest.mark.parametrize("form", FORMS_TO_TRAIN)
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


@pytest.mark.parametrize("form", ["xlm_roberta", "electra", "mpnet"])
def test_base_of_each_family_takes_a_vocabulary_with_other_special_ids(form, tmp_path):
    base, new = base_with_weights(form, tmp_path), FORMS["wordpiece"](tmp_path / "new")
    rows = rows_of(new, tmp_path)
    run_pretraining(rows, new, tmp_path / "adapted", replace(CONFIG, base=str(base)))
    start, end = load_checkpoint(base), load_checkpoint(tmp_path / "adapted")
    reader = load_reader(tmp_path / "adapted")
    assert reader.tokens() == load_reader(new).tokens()
    assert end.config["pad_token_id"] == reader.padding_id == 0
    assert end.architecture.family == start.architecture.family
    assert end.architecture.max_length == start.architecture.max_length
    assert end.weights["embeddings/word"].shape == (reader.vocab_size, start.architecture.embedding_dim)
    kept = [name for name in start.weights if name not in ("embeddings/word", "embeddings/position", "mlm/bias")]
    moved = {name: float(np.abs(end.weights[name] - start.weights[name]).max()) for name in kept}
    assert 0 < max(moved.values()) < 0.1  # two steps change weights a little, not their places


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
