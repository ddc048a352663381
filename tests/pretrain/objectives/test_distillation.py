"""Text vectors kept near the base's, which reads the same texts with its own tokenizer."""

import json
import string
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pretrain.config import PreflightConfig
from pretrain.measure.bench_models import named_model
from pretrain.measure.preflight import step_program
from pretrain.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, with_positions
from pretrain.model.encoder import Encoder
from pretrain.objectives.distillation import (
    BaseReading,
    KeptBatch,
    base_to_keep,
    distances_at,
    teacher_row_length,
    text_vectors,
)
from pretrain.objectives.masked_lm import masker_of
from pretrain.randomness import stream
from pretrain.run import pretrain
from pretrain.train.batches import TrainingBatches, held_out_batches, load_batch
from pretrain.train.step import MlmStep
from stackbert.core.artifact import write_json
from stackbert.core.errors import StackbertError
from tests.pretrain.runs import config, fingerprint, killed_after
from tests.pretrain.tiny import tiny_checkpoint
from tests.pretrain.train.test_replicas import finish, start
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


def test_base_reads_the_texts_as_its_own_tokenizer_reads_them(rows_reader, other_base):
    texts = ["connect mysql from node.js", "sort c++"]
    assert "node.js" in rows_reader.tokens()
    checkpoint, reading = base_to_keep(str(other_base), rows_reader, ROW_LENGTH, has_new_vocabulary=True)
    ids_BT, segments_BT = row_of(rows_reader, texts, 40)
    base_ids_BU, base_segments_BU = reading.read(ids_BT, segments_BT)
    base_reader = load_reader(other_base)
    assert base_ids_BU.shape == (1, reading.row_length(40)) == (1, 64)
    first, second = base_reader.ids_for_classifier(texts, 100)
    assert len(first) > 17, "letters, where ours are words"
    expected = [*first, *second]
    assert base_ids_BU[0, : len(expected)].tolist() == expected
    assert (base_ids_BU[0, len(expected) :] == base_reader.padding_id).all()
    assert base_segments_BU[0].tolist() == [1] * len(first) + [2] * len(second) + [0] * (64 - len(expected))
    assert checkpoint.architecture.vocab_size == base_reader.vocab_size


def test_text_is_cut_to_what_the_base_reads_and_to_the_room_of_its_row(rows_reader, other_base):
    _, reading = base_to_keep(str(other_base), rows_reader, ROW_LENGTH, has_new_vocabulary=True)
    ids_BT, segments_BT = row_of(rows_reader, ["connect mysql", "numpy"], 9)
    segments_BU = reading.read(ids_BT, segments_BT)[1]
    assert segments_BU[0].tolist() == [1] * 14 + [0] * 2, "14 are [CLS], the letters and [SEP]; of 7 less than half fit"
    ids_BT, segments_BT = row_of(rows_reader, ["connect mysql", "to"], 9)
    segments_BU = reading.read(ids_BT, segments_BT)[1]
    assert segments_BU[0].tolist() == [1] * 14 + [2] * 2, "2 of 4"
    short = BaseReading(reading.readers, most_tokens=5)
    assert np.count_nonzero(short.read(ids_BT, segments_BT)[1] == 1) == 5


def test_a_text_that_the_base_does_not_read_has_no_distance(rows_reader, other_base):
    checkpoint, reading = base_to_keep(str(other_base), rows_reader, ROW_LENGTH, has_new_vocabulary=True)
    ids_BT, segments_BT = row_of(rows_reader, ["connect mysql", "numpy"], 9)
    masked = masker_of(rows_reader, config(mask_rate=0.9)).mask(
        tf.constant(ids_BT), tf.constant(segments_BT), stream(0, "mask")
    )
    batch = reading.add_to(masked, *map(tf.constant, reading.read(ids_BT, segments_BT)))
    hidden = tf.constant(np.random.default_rng(0).normal(size=(1, 9, 24)), tf.float32)
    found = distances_at(hidden, batch, encoder_of(checkpoint)).numpy()
    texts = tf.gather(batch.segments_BT, batch.positions_BP, batch_dims=1).numpy()[0]
    assert {1, 2} <= set(texts)
    assert (found[texts == 1] > 0.1).all()
    assert (found[texts == 2] == 0).all()


def test_base_with_the_same_vocabulary_reads_the_rows_as_they_are(rows_reader, same_base, small_rows):
    _, reading = base_to_keep(str(same_base), rows_reader, ROW_LENGTH, has_new_vocabulary=False)
    batch = next(batches(small_rows, rows_reader, reading))
    unmasked = tf.where(hidden_from(batch), batch.base_ids_BU, batch.ids_BT)
    np.testing.assert_array_equal(unmasked, batch.base_ids_BU)
    np.testing.assert_array_equal(batch.segments_BT, batch.base_segments_BU)
    assert np.any(batch.ids_BT != batch.base_ids_BU)


def hidden_from(batch: KeptBatch) -> tf.Tensor:
    """Which tokens are to be guessed, (B, T)."""
    here_BPT = tf.one_hot(batch.positions_BP, batch.ids_BT.shape[1]) * batch.weights_BP[:, :, None]
    return tf.reduce_sum(here_BPT, 1) > 0


def batches(small_rows: Path, reader: TextReader, reading: BaseReading | None):
    masker = masker_of(reader, config())
    return TrainingBatches(load_rows(small_rows / "rows", "train"), masker, 4, 0, reading).from_step(0, 3)


def test_batches_hold_the_same_masked_rows_with_and_without(rows_reader, other_base, small_rows):
    _, reading = base_to_keep(str(other_base), rows_reader, ROW_LENGTH, has_new_vocabulary=True)
    for plain, kept in zip(
        batches(small_rows, rows_reader, None), batches(small_rows, rows_reader, reading), strict=True
    ):
        for name, part in plain._asdict().items():
            np.testing.assert_array_equal(part, getattr(kept, name))
        assert kept.base_ids_BU.shape == (4, 48)
    held_out = load_rows(small_rows / "rows", "validation")
    batch = held_out_batches(held_out, masker_of(rows_reader, config()), 4, 4, reading)[0]
    chosen = np.unique(np.linspace(0, len(held_out.ids) - 1, min(len(held_out.ids), 4)).round().astype(int))
    np.testing.assert_array_equal(batch.base_ids_BU, reading.read(*load_batch(held_out, chosen))[0])


def test_text_vectors_are_means_and_first_states():
    hidden = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("f4")
    segments = np.array([[1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 1, 1]], np.int32)
    means, first = text_vectors(tf.constant(hidden), tf.constant(segments), 3).numpy()
    np.testing.assert_allclose(means[0], [hidden[0, :2].mean(0), hidden[0, 2:5].mean(0), [0, 0, 0]], rtol=1e-5)
    np.testing.assert_allclose(means[1], [hidden[1].mean(0), [0, 0, 0], [0, 0, 0]], rtol=1e-5)
    np.testing.assert_allclose(first[0], [hidden[0, 0], hidden[0, 2], [0, 0, 0]])


def test_distances_are_one_minus_cosines_and_none_from_the_unmasked_base(rows_reader, same_base, small_rows):
    checkpoint, reading = base_to_keep(str(same_base), rows_reader, ROW_LENGTH, has_new_vocabulary=False)
    base = encoder_of(checkpoint)
    batch = next(batches(small_rows, rows_reader, reading))
    as_it_is = base.hidden(batch.base_ids_BU, batch.base_segments_BU)
    np.testing.assert_allclose(distances_at(as_it_is, batch, base), 0, atol=1e-5)
    hidden = np.random.default_rng(1).normal(size=as_it_is.shape).astype("f4")
    found = tf.reshape(distances_at(tf.constant(hidden), batch, base), batch.positions_BP.shape).numpy()
    row, place = 1, 0
    own = batch.segments_BT[row].numpy() == batch.segments_BT[row, batch.positions_BP[row, place]].numpy()
    ours, theirs = hidden[row][own], as_it_is[row].numpy()[own]
    pairs = [(ours.mean(0), theirs.mean(0)), (ours[0], theirs[0])]
    expected = sum(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs)
    assert found[row, place] == pytest.approx(expected, abs=1e-5)


def test_devices_and_turns_do_not_change_what_is_kept(other_base, small_rows, tmp_path):
    settings = {"base": str(other_base), "distill_weight": 10.0, "steps": 6, "evaluations": 2, "learning_rate": 3e-3}
    assert finish(start(small_rows, tmp_path / "alone", **settings)) == [0]
    assert finish(start(small_rows, tmp_path / "shared", 2, **settings, micro_batch_rows=2)) == [0]
    alone, shared = (json.loads((tmp_path / run / "history.json").read_text()) for run in ("alone", "shared"))
    assert len(alone) == 4
    assert alone[0]["distance"] != pytest.approx(alone[-1]["distance"], rel=0.05)
    for one, other in zip(alone, shared, strict=True):
        assert other == pytest.approx(one, rel=1e-5)


def test_guesses_are_scored_as_without(rows_reader, same_base, small_rows):
    checkpoint, reading = base_to_keep(str(same_base), rows_reader, ROW_LENGTH, has_new_vocabulary=False)
    encoder = encoder_of(checkpoint)
    step = MlmStep(encoder, config(), 1, base=encoder)
    kept, plain = (next(batches(small_rows, rows_reader, one)) for one in (reading, None))
    with_base, without = np.array(step.losses(kept)), np.array(step.losses(plain))
    np.testing.assert_allclose(with_base[[0, 1, 3]], without[[0, 1, 3]], rtol=1e-5)
    assert with_base[2] > 0 == without[2]


def settings_of(base: Path, keep: float):
    return config(base=str(base), distill_weight=keep, learning_rate=3e-3)


@pytest.fixture(scope="module")
def kept(small_rows, other_base, tmp_path_factory) -> Path:
    """A run that keeps the text vectors of a base with another vocabulary."""
    out = tmp_path_factory.mktemp("kept") / "run"
    pretrain(small_rows / "rows", small_rows / "tokenizer", out, settings_of(other_base, 20.0))
    return out


def test_kept_vectors_stay_nearer_to_the_base(kept, other_base, small_rows, tmp_path):
    # the least weight measures and does not keep
    pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "free", settings_of(other_base, 1e-6))
    before, _, after = json.loads((kept / "history.json").read_text())
    free_before, _, free_after = json.loads((tmp_path / "free" / "history.json").read_text())
    assert before == free_before
    assert after["distance"] < 0.7 * free_after["distance"]
    assert after["loss"] < before["loss"], "and it learns to guess"
    card = (kept / "README.md").read_text()
    assert "weight 20" in card
    assert "| tokens read | loss | accuracy | bits a byte | distance from the base |\n|---|---|---|---|---|\n" in card
    assert f"{after['bits_per_byte']:.3f} | {after['distance']:.3f} |\n" in card


def test_base_with_the_same_vocabulary_is_kept_near_too(same_base, small_rows, tmp_path):
    settings = replace(settings_of(same_base, 20.0), steps=4, evaluations=0)
    manifest = pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    assert 0 < manifest.counts["held_out_before"]["distance"] < 0.05, "what masking takes away, and no more"
    assert manifest.counts["held_out_after"]["distance"] > 0


def test_a_stopped_run_goes_on_to_the_same_bytes(kept, other_base, small_rows, tmp_path, monkeypatch):
    settings = settings_of(other_base, 20.0)
    with killed_after(7, monkeypatch):
        pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    assert fingerprint(tmp_path / "run") == fingerprint(kept)


def test_base_may_read_less_than_a_row_and_rows_may_be_padding(other_base, small_rows, rows_reader):
    assert load_checkpoint(other_base).architecture.max_length < teacher_row_length(ROW_LENGTH)
    held_out = load_rows(small_rows / "rows", "validation")
    checkpoint, reading = base_to_keep(str(other_base), rows_reader, ROW_LENGTH, has_new_vocabulary=True)
    start_here = with_positions(tiny_checkpoint("bert", vocab_size=120), ROW_LENGTH)
    step = MlmStep(encoder_of(start_here), config(base="some", distill_weight=1.0), 1, base=encoder_of(checkpoint))
    batch = held_out_batches(held_out, masker_of(rows_reader, config()), len(held_out.ids) + 3, 10**6, reading)[0]
    assert not np.any(batch.base_segments_BU[-3:])
    assert np.isfinite(step.evaluate(batch)).all()


def test_new_weights_have_nothing_to_keep():
    with pytest.raises(StackbertError, match="random-tiny is new"):
        config(distill_weight=10.0)


def test_a_tpu_is_asked_for_the_base_too():
    asked = PreflightConfig(model="1x32", vocab_size=200, row_length=16)
    program, weights = step_program(replace(asked, teacher_row_length=24), 4, named_model(asked))
    plain, same_weights = step_program(asked, 4, named_model(asked))
    assert weights == same_weights
    assert program.count("stablehlo.dot") >= plain.count("stablehlo.dot") + 6, "the base's layer"
    assert "tensor<4x24xi32>" in program, "its rows"
