"""A tokenizer that is written is the one that was read, in each form in which tokenizers are published."""

import json
from pathlib import Path

import pytest
from tokenizers import normalizers

from pretrain.model.checkpoint import save_checkpoint
from stackbert.core.errors import StackbertError
from tests.pretrain.tiny import CONFIGS, tiny_checkpoint
from tests.tokenizer.made_tokenizers import FORMS, config, random_texts, write_files
from tokenizer.encoding.reader import TextReader, load_reader
from tokenizer.files import tokenizer_files
from tokenizer.files.tokenizer_files import write_tokenizer

each_form = pytest.mark.parametrize("form", FORMS)


def loaded(folder: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)


@each_form
def test_exported_checkpoint_has_the_tokenizer_of_its_source(form, tmp_path):
    source, out = FORMS[form](tmp_path / "source"), tmp_path / "out"
    out.mkdir()
    settings = json.loads((source / "config.json").read_text())
    save_checkpoint(tiny_checkpoint(settings["model_type"], settings["vocab_size"]), source, out)
    expected, found = loaded(source), loaded(out)
    texts = random_texts(seed=1)
    assert found(texts)["input_ids"] == expected(texts)["input_ids"]
    assert found.get_vocab() == expected.get_vocab()
    assert found.special_tokens_map == expected.special_tokens_map
    assert found.model_max_length == expected.model_max_length


@each_form
def test_reader_gives_the_ids_that_transformers_gives_where_special_tokens_in_a_text_are_text(form, tmp_path):
    source = FORMS[form](tmp_path / "source")
    reader, texts = load_reader(source), random_texts(seed=2)
    expected = loaded(source)(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert list(reader.ids_without_specials(texts)) == expected
    reader.save(tmp_path / "reader.json")
    assert list(TextReader.restore(tmp_path / "reader.json").ids_without_specials(texts)) == expected


@each_form
def test_without_a_config_beside_it_the_tokenizer_is_still_the_same(form, tmp_path):
    """As in an ONNX export, which has no config.json."""
    source, out = FORMS[form](tmp_path / "source"), tmp_path / "out"
    out.mkdir()
    write_tokenizer(source, out)
    texts = random_texts(seed=3, number=200)
    assert loaded(out)(texts)["input_ids"] == loaded(source)(texts)["input_ids"]


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("form", ["wordpiece", "cased_wordpiece", "added_tokens", "byte_level", "camembert", "albert"])
def test_beside_the_config_of_another_family_the_tokenizer_is_the_same(form, family, tmp_path):
    """As where a base is pretrained with another checkpoint's tokenizer: the family chooses the class."""
    source, out = FORMS[form](tmp_path / "source"), tmp_path / "out"
    write_files(out, {"config.json": config(family, 1_000)})
    write_tokenizer(source, out)
    texts = random_texts(seed=7, number=100)
    assert loaded(out)(texts)["input_ids"] == loaded(source)(texts)["input_ids"]
    assert loaded(out).model_max_length == loaded(source).model_max_length


def test_difference_that_remains_is_an_error(tmp_path, monkeypatch):
    source, out = FORMS["wordpiece"](tmp_path / "source"), tmp_path / "out"
    out.mkdir()
    opened = tokenizer_files._open

    def open_otherwise(folder: Path):
        found = opened(folder)
        if folder == out:
            found.backend_tokenizer.normalizer = normalizers.Lowercase()
        return found

    monkeypatch.setattr(tokenizer_files, "_open", open_otherwise)
    with pytest.raises(StackbertError, match="cannot be written so that transformers reads the same one: normalizer"):
        write_tokenizer(source, out)
