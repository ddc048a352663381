"""Stage 'tokenizer encode': no text is lost, validation posts do not depend on the tokenizer, stopped runs resume."""

from dataclasses import replace
from pathlib import Path

import pytest

from corpora import post as post_module
from corpora.post import Post, read_posts
from stackbert.core import progress
from stackbert.core.artifact import SCRATCH, write_json
from stackbert.core.errors import StackbertError
from tests.tokenizer.encoding.decoded_rows import decoded, sequences
from tests.tokenizer.made_corpus import write_corpus
from tokenizer.config import EncodeConfig, TokenizerConfig
from tokenizer.encoding import blocks as blocks_module
from tokenizer.encoding import encode as encode_module
from tokenizer.encoding import journal as journal_module
from tokenizer.encoding.blocks import encode_posts
from tokenizer.encoding.encode import encode_rows
from tokenizer.encoding.packed_rows import load_rows, tokenizer_of_rows
from tokenizer.encoding.reader import load_reader
from tokenizer.vocabulary.train import train_tokenizer


def test_validation_posts_do_not_depend_on_the_tokenizer(small_rows, tmp_path):
    train_tokenizer(small_rows / "corpus", tmp_path / "other", TokenizerConfig(vocab_size=90, lexicon_size=0))
    config = EncodeConfig(row_length=64, validation_share=0.1)
    encode_rows(small_rows / "corpus", tmp_path / "other", tmp_path / "rows", config)
    assert tokenizer_of_rows(tmp_path / "rows") != tokenizer_of_rows(small_rows / "rows")
    one, two = (
        decoded(folder / "rows", tokenizer, "validation")
        for folder, tokenizer in ((small_rows, small_rows / "tokenizer"), (tmp_path, tmp_path / "other"))
    )
    plain = str.maketrans("", "", " ")  # vocabularies that split 'node.js' differently are decoded with other spaces
    assert sorted(text.translate(plain) for text in one) == sorted(text.translate(plain) for text in two)


def test_validation_posts_of_a_sample_are_validation_posts_of_the_corpus(small_rows, tmp_path):
    config = EncodeConfig(row_length=32, validation_share=0.1, max_posts=200)
    encode_rows(small_rows / "corpus", small_rows / "tokenizer", tmp_path / "rows", config)
    fewer = decoded(tmp_path / "rows", small_rows / "tokenizer", "validation")
    more = decoded(small_rows / "rows", small_rows / "tokenizer", "validation")
    assert fewer and len(fewer) < len(more)
    assert all(fewer.count(text) <= more.count(text) for text in fewer)


def test_long_post_is_truncated_into_rows_without_losing_a_token(small_rows, tmp_path):
    posts = [Post(str(n), "question", "numpy " * 100, "") for n in range(20)]
    write_corpus(tmp_path / "corpus", posts)
    config = EncodeConfig(row_length=16, validation_share=0.5)
    encode_rows(tmp_path / "corpus", small_rows / "tokenizer", tmp_path / "rows", config)
    numpy_id = load_reader(small_rows / "tokenizer").tokenizer.token_to_id("numpy")
    found = [ids for split in ("train", "validation") for ids in sequences(tmp_path / "rows", split)]
    assert sum(ids.count(numpy_id) for ids in found) == 20 * 100
    assert max(map(len, found)) == 14


def test_no_validation_row_is_an_error(small_rows, tmp_path):
    with pytest.raises(StackbertError, match="too few posts, no row for validation"):
        encode_rows(
            small_rows / "corpus", small_rows / "tokenizer", tmp_path / "r", EncodeConfig(validation_share=1e-9)
        )


def test_folder_without_tokenizer_is_an_error(small_rows, tmp_path):
    with pytest.raises(StackbertError, match="holds no tokenizer"):
        encode_rows(small_rows / "corpus", tmp_path, tmp_path / "r", EncodeConfig())


def test_changed_tokenizer_byte_is_refused(small_rows, tmp_path):
    other = tmp_path / "tokenizer"
    other.mkdir()
    for path in (small_rows / "tokenizer").iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    config = EncodeConfig(row_length=32, validation_share=0.1)
    encode_rows(small_rows / "corpus", other, tmp_path / "r", config)
    changed = (other / "tokenizer.json").read_text().replace("numpy", "numqy")
    (other / "tokenizer.json").write_text(changed)
    with pytest.raises(StackbertError, match=r"inputs\.tokenizer"):
        encode_rows(small_rows / "corpus", other, tmp_path / "r", config)


@pytest.fixture(scope="module")
def many_blocks(small_rows, tmp_path_factory) -> Path:
    """The small corpus in 8 blocks of 50 posts, some of them long."""
    folder = tmp_path_factory.mktemp("blocks") / "corpus"
    posts = [replace(post, text="numpy c++ " * (int(post.id) % 90)) for post in read_posts(small_rows / "corpus")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(post_module, "POSTS_PER_GROUP", 50)
        return write_corpus(folder, posts)


CONFIG = EncodeConfig(row_length=32, validation_share=0.1)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


@pytest.fixture(scope="module")
def uninterrupted(small_rows, many_blocks, tmp_path_factory) -> dict[str, bytes]:
    """The files of a run that was never stopped."""
    out = tmp_path_factory.mktemp("uninterrupted") / "rows"
    encode_rows(many_blocks, small_rows / "tokenizer", out, CONFIG)
    assert set(files_of(out)) == {"train.bin", "validation.bin", "rows.json"}
    return files_of(out)


def test_rows_are_the_same_from_two_processes_and_a_rerun_with_another_number_is_the_same_artifact(
    small_rows, many_blocks, uninterrupted, tmp_path, monkeypatch
):
    monkeypatch.setattr(encode_module, "POSTS_WORTH_PROCESSES", 0)
    made = encode_rows(many_blocks, small_rows / "tokenizer", tmp_path / "rows", replace(CONFIG, processes=2))
    assert files_of(tmp_path / "rows") == uninterrupted
    again = encode_rows(many_blocks, small_rows / "tokenizer", tmp_path / "rows", replace(CONFIG, processes=1))
    assert again.identity == made.identity


class Stopped(BaseException):
    """Like a killed process: no code handles it."""


@pytest.mark.parametrize("stop", range(1, 12))
def test_run_stopped_anywhere_resumes_to_the_same_bytes(
    small_rows, many_blocks, uninterrupted, tmp_path, monkeypatch, stop, capsys
):
    """The state is written after each of 8 blocks; the run stops before or after that, or while it finishes."""
    writes = [0]

    def stopping(path: Path, value: object) -> None:
        writes[0] += 1
        if writes[0] == stop:
            if stop % 2:
                write_json(path, value)
            raise Stopped

        write_json(path, value)

    def stopping_at_the_end(*_: object) -> None:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "write_json", stopping)
        if stop > 8:
            patch.setattr(encode_module, "_require_rows", stopping_at_the_end)
        with pytest.raises(Stopped):
            encode_rows(many_blocks, small_rows / "tokenizer", tmp_path / "rows", CONFIG)
    staging = tmp_path / "rows.partial"
    for name in ("train.bin", f"{SCRATCH}/train.leftover")[: stop % 3]:  # bytes of an unfinished write
        with (staging / name).open("ab") as file:
            file.write(b"half a block")
    encoded: list[int] = []
    capsys.readouterr()

    def counted(*arguments):
        encoded.append(1)
        return encode_posts(*arguments)

    monkeypatch.setattr(blocks_module, "encode_posts", counted)
    encode_rows(many_blocks, small_rows / "tokenizer", tmp_path / "rows", CONFIG)
    assert files_of(tmp_path / "rows") == uninterrupted
    finished = min(8, stop if stop % 2 else stop - 1)
    assert (f"resuming: {finished} of 8 blocks" in capsys.readouterr().err) == bool(finished)
    assert len(encoded) == 2 * (8 - finished)


def test_progress_is_shown_with_the_speed(small_rows, many_blocks, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    encode_rows(many_blocks, small_rows / "tokenizer", tmp_path / "rows", CONFIG)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("encoding")]
    assert [line.split(" blocks")[0] for line in lines] == [f"encoding: {number} of 8" for number in range(1, 9)]
    assert all(" MB/s" in line for line in lines)


def test_stopped_run_does_not_resume_with_other_settings(small_rows, many_blocks, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(encode_module, "_require_rows", fail)
        with pytest.raises(Stopped):
            encode_rows(many_blocks, small_rows / "tokenizer", tmp_path / "rows", CONFIG)
    with pytest.raises(StackbertError, match=r"config\.row_length: 32 -> 64"):
        encode_rows(many_blocks, small_rows / "tokenizer", tmp_path / "rows", replace(CONFIG, row_length=64))


def test_no_word_is_split_unless_it_alone_exceeds_the_row(small_rows, many_blocks, uninterrupted, tmp_path):
    encode_rows(many_blocks, small_rows / "tokenizer", tmp_path / "rows", CONFIG)
    tokens = load_reader(small_rows / "tokenizer").tokens()
    for split in ("train", "validation"):
        assert not any(tokens[ids[0]].startswith("##") for ids in sequences(tmp_path / "rows", split))


def test_shares_of_padding_and_unknown_tokens_are_recorded_and_printed(small_rows, many_blocks, tmp_path, capsys):
    counts = encode_rows(many_blocks, small_rows / "tokenizer", tmp_path / "rows", CONFIG).counts
    rows = load_rows(tmp_path / "rows", "train").ids
    assert counts["padding_share"] == pytest.approx((rows == 0).mean(), abs=1e-5)
    assert counts["padding_share"] < 0.02
    assert counts["unknown_share"] == pytest.approx((rows == 1).sum() / counts["train"]["text_tokens"], abs=1e-7)
    assert (
        f"padding {counts['padding_share']:.2%}, unknown tokens {counts['unknown_share']:.3%}"
        in capsys.readouterr().out
    )


def test_text_that_the_tokenizer_does_not_know_is_refused(small_rows, tmp_path):
    greek = "\u03c0\u03ce\u03c2 \u03bd\u03b1 \u03c4\u03b1\u03be\u03b9\u03bd\u03bf\u03bc\u03ae\u03c3\u03c9"
    write_corpus(tmp_path / "posts", [Post(str(n), "question", greek, greek, ()) for n in range(200)])
    with pytest.raises(StackbertError, match="100% of the text's tokens are unknown to the tokenizer"):
        encode_rows(tmp_path / "posts", small_rows / "tokenizer", tmp_path / "out", EncodeConfig(row_length=16))
    assert not (tmp_path / "out").exists()
