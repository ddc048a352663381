"""Tiny checkpoints have the layout, the special ids and the form of tokenizer of what they stand for."""

import json
import shutil

import pytest

from pretrain.model.checkpoint import load_checkpoint
from stackbert.core.artifact import write_json
from stackbert.core.checkpoints import BaseError
from stackbert.rehearsal.published import PUBLISHED
from stackbert.rehearsal.stand_in import stand_in_texts
from stackbert.rehearsal.tiny_checkpoint import write_tiny_checkpoint
from tests.stackbert.rehearsal.published_configs import CONFIGS
from tokenizer.encoding.reader import load_reader
from tokenizer.files.tokenizer_files import load_tokenizer

FILES = {
    "wordpiece": {"vocab.txt"},
    "byte-level": {"vocab.json", "merges.txt"},
    "byte-level json": {"tokenizer.json"},
    "sentencepiece": {"sentencepiece.bpe.model"},
}
SPECIAL_IDS = {  # pad, unk, cls, sep, as published; the mask is the last of RoBERTa's and CamemBERT's ids
    "google-bert/bert-base-cased": (0, 100, 101, 102),
    "distilbert/distilbert-base-uncased": (0, 100, 101, 102),
    "allenai/scibert_scivocab_uncased": (0, 101, 102, 103),
    "FacebookAI/roberta-base": (1, 3, 0, 2),
    "almanach/camembert-base": (1, 3, 5, 6),
}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return stand_in_texts("fr")


@pytest.mark.parametrize("name", PUBLISHED)
def test_layout_and_form_are_the_published_ones(name, texts, tmp_path):
    place, how = write_tiny_checkpoint(name, texts, tmp_path / "tiny")
    assert "the published layout" in how
    checkpoint = load_checkpoint(tmp_path / "tiny")
    architecture, published = checkpoint.architecture, CONFIGS[name]
    assert place == str(tmp_path / "tiny")
    assert architecture.family.name == published["model_type"]
    assert architecture.max_length == (8_192 if architecture.family.name == "modernbert" else 512)
    assert architecture.num_types == published.get("type_vocab_size", 0)
    written = {path.name for path in (tmp_path / "tiny").iterdir()}
    form = PUBLISHED[name].form
    assert FILES[form] <= written and ("tokenizer.json" in written) == (form == "byte-level json")
    assert sum(array.size for array in checkpoint.weights.values()) < 100_000


@pytest.mark.parametrize("name", SPECIAL_IDS)
def test_special_ids_are_the_published_ones(name, texts, tmp_path):
    write_tiny_checkpoint(name, texts, tmp_path / "tiny")
    loaded = load_tokenizer(tmp_path / "tiny")
    found = tuple(getattr(loaded, f"{role}_token_id") for role in ("pad", "unk", "cls", "sep"))
    assert found == SPECIAL_IDS[name]
    if PUBLISHED[name].form in ("byte-level", "sentencepiece"):
        assert loaded.mask_token_id == len(loaded) - 1


@pytest.mark.parametrize("name", PUBLISHED)
def test_text_is_read_without_unknown_tokens_and_in_the_published_case(name, texts, tmp_path):
    write_tiny_checkpoint(name, texts, tmp_path / "tiny")
    reader = load_reader(tmp_path / "tiny")
    ids = reader.tokenizer.encode("Où est NumPy ? C'est un tableau.", add_special_tokens=False)
    assert reader.unknown_id not in ids.ids
    folds = PUBLISHED[name].form == "wordpiece" and not PUBLISHED[name].cased
    assert ("N" in "".join(ids.tokens)) is not folds


def test_same_texts_give_the_same_bytes(texts, tmp_path):
    for folder in ("one", "other"):
        write_tiny_checkpoint("almanach/camembert-base", texts, tmp_path / folder)
        write_tiny_checkpoint("FacebookAI/roberta-base", texts, tmp_path / f"{folder}-roberta")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()
    for path in (tmp_path / "one-roberta").iterdir():
        assert path.read_bytes() == (tmp_path / "other-roberta" / path.name).read_bytes()


def test_folder_keeps_its_tokenizer_and_positions(tiny_base, texts, tmp_path):
    _, how = write_tiny_checkpoint(str(tiny_base), texts, tmp_path / "tiny")
    assert how == "its own config.json and tokenizer"
    found, own = load_checkpoint(tmp_path / "tiny").architecture, load_checkpoint(tiny_base).architecture
    assert (found.max_positions, found.vocab_size, found.num_layers) == (own.max_positions, own.vocab_size, 1)
    assert load_tokenizer(tmp_path / "tiny").get_vocab() == load_tokenizer(tiny_base).get_vocab()


def test_folder_without_its_tokenizer_is_refused(tiny_base, texts, tmp_path):
    (tmp_path / "broken").mkdir()
    shutil.copyfile(tiny_base / "config.json", tmp_path / "broken" / "config.json")
    with pytest.raises(Exception, match="holds no tokenizer"):
        write_tiny_checkpoint(str(tmp_path / "broken"), texts, tmp_path / "tiny")


def test_fields_of_another_family_are_not_left_over(tiny_base, texts, tmp_path):
    shutil.copytree(tiny_base, tmp_path / "distil")
    config = json.loads((tmp_path / "distil" / "config.json").read_text())
    config |= {"model_type": "distilbert", "dim": config["hidden_size"], "n_layers": 2, "n_heads": 3, "hidden_dim": 32}
    del config["type_vocab_size"]
    write_json(tmp_path / "distil" / "config.json", config)
    write_tiny_checkpoint(str(tmp_path / "distil"), texts, tmp_path / "tiny")
    assert load_checkpoint(tmp_path / "tiny").architecture.hidden_dim == 32


def test_random_sizes_stay_random(texts, tmp_path):
    assert write_tiny_checkpoint("random-medium", texts, tmp_path / "tiny")[0] == "random-tiny"


def test_unknown_id_is_refused_where_the_hub_cannot_be_reached(texts, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        BaseError, match=r"someone/else: .* cannot be downloaded .* knows the layouts of .*microsoft/codebert-base"
    ):
        write_tiny_checkpoint("someone/else", texts, tmp_path / "tiny")
    with pytest.raises(BaseError, match=r"bert-base-uncased: no such folder"):
        write_tiny_checkpoint("bert-base-uncased", texts, tmp_path / "tiny2")
