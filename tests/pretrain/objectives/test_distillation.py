"""Distillation: text vectors stay near the teacher's, which reads the same texts with its own tokenizer."""

import json
import string
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.measure.bench_models import named_model
from pretrain.measure.config import PreflightConfig
from pretrain.measure.step_program import step_program
from pretrain.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, with_positions
from pretrain.model.encoder import Encoder
from pretrain.objectives.distillation import (
    Distillation,
    DistillBatch,
    DistillCollator,
    TeacherReader,
    distill_losses,
    load_teacher,
    teacher_row_length,
)
from pretrain.objectives.masked_lm import MaskedLM, build_masker
from pretrain.objectives.text_vectors import text_vectors
from pretrain.randomness import stream
from pretrain.run import run_pretraining
from pretrain.train.batches import TrainingBatches, load_batch, validation_batches
from pretrain.train.replicas import Replicas
from pretrain.train.step import compile_evaluation
from stackbert.core.artifact import write_json
from stackbert.core.errors import StackbertError
from tests.pretrain.processes import finish, start
from tests.pretrain.runs import config, fingerprint, killed_after
from tests.pretrain.tiny import tiny_checkpoint
from tokenizer.encoding.packed_rows import load_rows
from tokenizer.encoding.reader import TextReader, load_reader

ROW_LENGTH = 32


@pytest.fixture(scope="module")
def same_base(small_rows, tmp_path_factory) -> Path:
    """A base with the rows' vocabulary."""
    folder = tmp_path_factory.mktemp("same") / "base"
    folder.mkdir()
    base = with_positions(tiny_checkpoint("bert", vocab_size=120), ROW_LENGTH)
    save_checkpoint(base, small_rows / "tokenizer", folder)
    return folder


@pytest.fixture(scope="module")
def other_base(tmp_path_factory) -> Path:
    """A base whose vocabulary is BERT's in form: letters, a few words, and punctuation that always stands alone."""
    tokenizer = tmp_path_factory.mktemp("other") / "tokenizer"
    tokenizer.mkdir()
    letters = string.ascii_lowercase + ".+"
    tokens = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *letters,
        *("##" + a for a in letters),
        "node",
        "js",
        "list",
    ]
    (tokenizer / "vocab.txt").write_text("\n".join(tokens) + "\n")
    write_json(tokenizer / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    folder = tokenizer.parent / "base"
    folder.mkdir()
    base = with_positions(tiny_checkpoint("bert", vocab_size=len(tokens)), ROW_LENGTH)
    save_checkpoint(base, tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def rows_reader(small_rows) -> TextReader:
    return load_reader(small_rows / "tokenizer")


def encoder_of(checkpoint: Checkpoint) -> Encoder:
    return Encoder(checkpoint.architecture, checkpoint.weights)


def row_of(reader: TextReader, texts: list[str], length: int) -> tuple[np.ndarray, np.ndarray]:
    """A row of the texts and padding: ids and segments, (1, length)."""
    ids, segments = np.full((1, length), reader.padding_id, np.int32), np.zeros((1, length), np.int32)
    filled = 0
    for number, text in enumerate(reader.ids_for_classifier(texts, length), 1):
        ids[0, filled : filled + len(text)], segments[0, filled : filled + len(text)] = text, number
        filled += len(text)
    return ids, segments


def test_teacher_reads_the_texts_as_its_own_tokenizer_reads_them(rows_reader, other_base):
    texts = ["connect mysql from node.js", "sort c++"]
    assert "node.js" in rows_reader.tokens()
    checkpoint, reader = load_teacher(str(other_base), rows_reader, ROW_LENGTH, has_new_vocabulary=True)
    ids_BT, segments_BT = row_of(rows_reader, texts, 40)
    teacher_ids_BU, teacher_segments_BU = reader.read(ids_BT, segments_BT)
    teacher_tokenizer = load_reader(other_base)
    assert teacher_ids_BU.shape == (1, reader.row_length(40)) == (1, 64)
    first, second = teacher_tokenizer.ids_for_classifier(texts, 100)
    assert len(first) > 17, "letters, where ours are words"
    expected = [*first, *second]
    assert teacher_ids_BU[0, : len(expected)].tolist() == expected
    assert (teacher_ids_BU[0, len(expected) :] == teacher_tokenizer.padding_id).all()
    assert teacher_segments_BU[0].tolist() == [1] * len(first) + [2] * len(second) + [0] * (64 - len(expected))
    assert checkpoint.architecture.vocab_size == teacher_tokenizer.vocab_size


def test_text_is_truncated_to_the_teachers_maximum_and_to_the_room_in_its_row(rows_reader, other_base):
    _, reader = load_teacher(str(other_base), rows_reader, ROW_LENGTH, has_new_vocabulary=True)
    ids_BT, segments_BT = row_of(rows_reader, ["connect mysql", "numpy"], 9)
    segments_BU = reader.read(ids_BT, segments_BT)[1]
    assert segments_BU[0].tolist() == [1] * 14 + [0] * 2, "14 are [CLS], the letters and [SEP]; of 7 less than half fit"
    ids_BT, segments_BT = row_of(rows_reader, ["connect mysql", "to"], 9)
    segments_BU = reader.read(ids_BT, segments_BT)[1]
    assert segments_BU[0].tolist() == [1] * 14 + [2] * 2, "2 of 4"
    short = TeacherReader(reader.readers, max_length=5)
    assert np.count_nonzero(short.read(ids_BT, segments_BT)[1] == 1) == 5


def test_text_that_the_teacher_does_not_read_has_no_loss(rows_reader, other_base):
    checkpoint, reader = load_teacher(str(other_base), rows_reader, ROW_LENGTH, has_new_vocabulary=True)
    ids_BT, segments_BT = row_of(rows_reader, ["connect mysql", "numpy"], 9)
    collator = DistillCollator(build_masker(rows_reader, config(mask_rate=0.9)), reader)
    batch = collator(tf.constant(ids_BT), tf.constant(segments_BT), stream(0, "mask"))
    hidden = tf.constant(np.random.default_rng(0).normal(size=(1, 9, 24)), tf.float32)
    found = distill_losses(hidden, batch, encoder_of(checkpoint)).numpy()
    texts = tf.gather(batch.segments_BT, batch.positions_BP, batch_dims=1).numpy()[0]
    assert {1, 2} <= set(texts)
    assert (found[texts == 1] > 0.1).all()
    assert (found[texts == 2] == 0).all()


def test_teacher_with_the_same_vocabulary_reads_the_unmasked_rows(rows_reader, same_base, small_rows):
    _, reader = load_teacher(str(same_base), rows_reader, ROW_LENGTH, has_new_vocabulary=False)
    batch = next(batches(small_rows, rows_reader, reader))
    unmasked = tf.where(masked_tokens(batch), batch.teacher_ids_BU, batch.ids_BT)
    np.testing.assert_array_equal(unmasked, batch.teacher_ids_BU)
    np.testing.assert_array_equal(batch.segments_BT, batch.teacher_segments_BU)
    assert np.any(batch.ids_BT != batch.teacher_ids_BU)


def masked_tokens(batch: DistillBatch) -> tf.Tensor:
    """Which tokens are masked, (B, T)."""
    here_BPT = tf.one_hot(batch.positions_BP, batch.ids_BT.shape[1]) * batch.weights_BP[:, :, None]
    return tf.reduce_sum(here_BPT, 1) > 0


def batches(small_rows: Path, rows_reader: TextReader, teacher_reader: TeacherReader | None):
    masker = build_masker(rows_reader, config())
    collator = DistillCollator(masker, teacher_reader) if teacher_reader else masker.mask
    return TrainingBatches(load_rows(small_rows / "rows", "train"), collator, 4, 0).from_step(0, 3)


def test_distillation_does_not_change_the_masked_rows(rows_reader, other_base, small_rows):
    _, reader = load_teacher(str(other_base), rows_reader, ROW_LENGTH, has_new_vocabulary=True)
    plain, distill = (batches(small_rows, rows_reader, each) for each in (None, reader))
    for one, other in zip(plain, distill, strict=True):
        for name, tensor in one._asdict().items():
            np.testing.assert_array_equal(tensor, getattr(other, name))
        assert other.teacher_ids_BU.shape == (4, 48)
    rows = load_rows(small_rows / "rows", "validation")
    collator = DistillCollator(build_masker(rows_reader, config()), reader)
    batch = validation_batches(rows, collator, batch_rows=4, max_rows=4)[0]
    chosen = np.unique(np.linspace(0, len(rows.ids) - 1, min(len(rows.ids), 4)).round().astype(int))
    np.testing.assert_array_equal(batch.teacher_ids_BU, reader.read(*load_batch(rows, chosen))[0])


def test_text_vectors_are_means_and_first_states():
    hidden = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("f4")
    segments = np.array([[1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 1, 1]], np.int32)
    means, first = text_vectors(tf.constant(hidden), tf.constant(segments), 3).numpy()
    np.testing.assert_allclose(means[0], [hidden[0, :2].mean(0), hidden[0, 2:5].mean(0), [0, 0, 0]], rtol=1e-5)
    np.testing.assert_allclose(means[1], [hidden[1].mean(0), [0, 0, 0], [0, 0, 0]], rtol=1e-5)
    np.testing.assert_allclose(first[0], [hidden[0, 0], hidden[0, 2], [0, 0, 0]])


def test_losses_are_one_minus_cosine_and_0_for_the_teachers_own_states(rows_reader, same_base, small_rows):
    checkpoint, reader = load_teacher(str(same_base), rows_reader, ROW_LENGTH, has_new_vocabulary=False)
    base = encoder_of(checkpoint)
    batch = next(batches(small_rows, rows_reader, reader))
    as_it_is = base.hidden(batch.teacher_ids_BU, batch.teacher_segments_BU)
    np.testing.assert_allclose(distill_losses(as_it_is, batch, base), 0, atol=1e-5)
    hidden = np.random.default_rng(1).normal(size=as_it_is.shape).astype("f4")
    found = tf.reshape(distill_losses(tf.constant(hidden), batch, base), batch.positions_BP.shape).numpy()
    row, slot = 1, 0
    own = batch.segments_BT[row].numpy() == batch.segments_BT[row, batch.positions_BP[row, slot]].numpy()
    ours, theirs = hidden[row][own], as_it_is[row].numpy()[own]
    pairs = [(ours.mean(0), theirs.mean(0)), (ours[0], theirs[0])]
    expected = sum(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs)
    assert found[row, slot] == pytest.approx(expected, abs=1e-5)


def test_result_does_not_depend_on_devices_and_micro_batches(other_base, small_rows, tmp_path):
    settings = config(
        base=str(other_base), distill_weight=10.0, steps=6, batch_rows=8, evaluations=2, learning_rate=3e-3
    )
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "alone", settings)
    with_two_devices = vars(replace(settings, micro_batch_rows=2))
    assert finish(start(small_rows, tmp_path / "shared", with_two_devices, devices=2)) == [0]
    alone, shared = (json.loads((tmp_path / run / "history.json").read_text()) for run in ("alone", "shared"))
    assert len(alone) == 4
    assert alone[0]["distill_loss"] != pytest.approx(alone[-1]["distill_loss"], rel=0.05)
    for one, other in zip(alone, shared, strict=True):
        assert other == pytest.approx(one, rel=1e-5)


def test_cross_entropy_is_that_without_distillation(rows_reader, same_base, small_rows):
    checkpoint, reader = load_teacher(str(same_base), rows_reader, ROW_LENGTH, has_new_vocabulary=False)
    encoder = encoder_of(checkpoint)
    distill, plain = (next(batches(small_rows, rows_reader, one)) for one in (reader, None))
    found, expected = Distillation(encoder, encoder, 2.0).losses(distill), MaskedLM(encoder).losses(plain)
    np.testing.assert_allclose(found.reported_K[:2], expected.reported_K, rtol=1e-5)
    assert float(found.count) == float(expected.count)
    assert float(found.reported_K[2]) > 0
    assert float(found.total) == pytest.approx(float(found.reported_K[0] + 2 * found.reported_K[2]), rel=1e-6)


def settings_of(base: Path, weight: float) -> PretrainConfig:
    return config(base=str(base), distill_weight=weight, learning_rate=3e-3)


@pytest.fixture(scope="module")
def distilled(small_rows, other_base, tmp_path_factory) -> Path:
    """A run with distillation from a base with another vocabulary."""
    out = tmp_path_factory.mktemp("distilled") / "run"
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", out, settings_of(other_base, 20.0))
    return out


def test_distillation_lowers_its_loss(distilled, other_base, small_rows, tmp_path):
    # a tiny weight measures the loss without training it
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "free", settings_of(other_base, 1e-6))
    before, _, after = json.loads((distilled / "history.json").read_text())
    free_before, _, free_after = json.loads((tmp_path / "free" / "history.json").read_text())
    assert before == free_before
    assert after["distill_loss"] < 0.7 * free_after["distill_loss"]
    assert after["loss"] < before["loss"], "it learns the masked tokens, too"
    card = (distilled / "README.md").read_text()
    assert "weight 20" in card
    assert "| tokens read | loss | accuracy | bits per byte | distillation loss |\n|---|---|---|---|---|\n" in card
    assert f"{after['bits_per_byte']:.3f} | {after['distill_loss']:.3f} |\n" in card


def test_distillation_from_a_base_with_the_same_vocabulary(same_base, small_rows, tmp_path):
    settings = replace(settings_of(same_base, 20.0), steps=4, evaluations=0)
    manifest = run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    assert 0 < manifest.counts["validation_before"]["distill_loss"] < 0.05, "the effect of masking only"
    assert manifest.counts["validation_after"]["distill_loss"] > 0


def test_a_stopped_run_resumes_to_the_same_bytes(distilled, other_base, small_rows, tmp_path, monkeypatch):
    settings = settings_of(other_base, 20.0)
    with killed_after(7, monkeypatch):
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    assert fingerprint(tmp_path / "run") == fingerprint(distilled)


def test_teacher_may_read_less_than_a_row_and_rows_may_be_padding(other_base, small_rows, rows_reader):
    assert load_checkpoint(other_base).architecture.max_length < teacher_row_length(ROW_LENGTH)
    rows = load_rows(small_rows / "rows", "validation")
    checkpoint, reader = load_teacher(str(other_base), rows_reader, ROW_LENGTH, has_new_vocabulary=True)
    encoder = encoder_of(with_positions(tiny_checkpoint("bert", vocab_size=120), ROW_LENGTH))
    collator = DistillCollator(build_masker(rows_reader, config()), reader)
    batch = validation_batches(rows, collator, len(rows.ids) + 3, max_rows=10**6)[0]
    assert not np.any(batch.teacher_segments_BU[-3:])
    evaluate = compile_evaluation(Distillation(encoder, encoder_of(checkpoint), 1.0), Replicas())
    assert np.isfinite(evaluate(batch)).all()


def test_random_base_cannot_be_a_teacher():
    with pytest.raises(StackbertError, match="random-tiny has random weights and cannot be a teacher"):
        config(distill_weight=10.0)


def test_program_for_a_tpu_includes_the_teacher():
    request = PreflightConfig(model="1x32", vocab_size=200, row_length=16)
    program, weights = step_program(replace(request, teacher_row_length=24), 4, named_model(request))
    plain, same_weights = step_program(request, 4, named_model(request))
    assert weights == same_weights
    assert program.count("stablehlo.dot") >= plain.count("stablehlo.dot") + 6, "the teacher's layer"
    assert "tensor<4x24xi32>" in program, "its rows"
