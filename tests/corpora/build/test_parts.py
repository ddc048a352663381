"""Parts: their size, the number of workers and interruptions do not change the corpus."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora.build import executor as executor_module
from corpora.build.build import build_corpus
from corpora.build.part import DROPPED
from corpora.contamination.audit import audit
from corpora.post import read_posts
from corpora.sources.dump import dump_lines, part_lines
from corpora.sources.lines import cut_parts, range_lines, split_lines
from stackbert.core.artifact import load_manifest
from stackbert.core.errors import StackbertError
from tests.corpora.dumps import SMALL_PARTS, sentence, write_dump
from tests.paths import ROOT


@pytest.mark.parametrize("size", [1, 7, 100, 1_000, 4_097, 1_000_000])
def test_each_line_is_in_exactly_one_part(tmp_path: Path, size: int) -> None:
    path = write_dump(tmp_path, 30)
    count = -(-path.stat().st_size // size)
    assert [line for part in range(count) for line in part_lines(path, size, part)] == list(dump_lines(path))


@pytest.mark.parametrize("size", [1, 7, 100, 1_000, 4_097, 1_000_000])
def test_a_stream_of_blocks_is_cut_into_the_same_parts_as_the_file(tmp_path: Path, size: int) -> None:
    path = write_dump(tmp_path, 30)
    content = path.read_bytes()
    for block in (1, 13, 999, 100_000):
        blocks = (content[start : start + block] for start in range(0, len(content), block))
        parts = [list(split_lines(path, text, start)) for start, text in cut_parts(path, blocks, size)]
        count = -(-len(content) // size)
        expected = [list(range_lines(path, part * size, (part + 1) * size)) for part in range(count)]
        while expected and not expected[-1]:
            expected.pop()
        assert parts[: len(expected)] == expected and not any(parts[len(expected) :])


def test_the_posts_do_not_depend_on_the_size_of_parts(tmp_path: Path) -> None:
    write_dump(tmp_path)
    whole = build_corpus(tmp_path / "whole", replace(SMALL_PARTS, part_megabytes=99), tmp_path)
    small = build_corpus(tmp_path / "small", SMALL_PARTS, tmp_path)
    assert len(small.files) > 5 > len(whole.files)
    assert small.counts == whole.counts and whole.counts["dropped"]["duplicate"] > 10
    assert list(read_posts(tmp_path / "small")) == list(read_posts(tmp_path / "whole"))


def test_answers_have_the_title_and_tags_of_a_question_in_another_part(tmp_path: Path) -> None:
    write_dump(tmp_path)
    build_corpus(tmp_path / "out", SMALL_PARTS, tmp_path)
    posts = list(read_posts(tmp_path / "out"))
    questions = {post.id: post for post in posts if post.kind == "question"}
    answers = [post for post in posts if post.kind == "answer" and post.parent_id in questions]
    assert len(answers) > 200
    for answer in answers:
        question = questions[answer.parent_id or ""]
        assert (answer.title, answer.tags) == (question.title, question.tags)
        assert answer.whole_text == answer.text


@pytest.mark.usefixtures("worker_pool")
def test_an_archive_gives_the_same_files_as_its_content(tmp_path: Path) -> None:
    py7zr = pytest.importorskip("py7zr")
    path = write_dump(tmp_path)
    with py7zr.SevenZipFile(tmp_path / "site.7z", "w") as archive:
        archive.writestr("nothing", "Comments.xml")
        archive.write(path, "Posts.xml")
    plain = build_corpus(tmp_path / "plain", SMALL_PARTS, tmp_path)
    packed = build_corpus(tmp_path / "packed", replace(SMALL_PARTS, path="site.7z", processes=2), tmp_path)
    assert packed.files == plain.files and packed.counts == plain.counts


def test_dropped_posts_are_written_on_request(tmp_path: Path) -> None:
    write_dump(tmp_path)
    manifest = build_corpus(tmp_path / "out", replace(SMALL_PARTS, keep_dropped=True), tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "out" / DROPPED).read_text().splitlines()]
    for reason, count in manifest.counts["dropped"].items():
        assert sum(row["reason"] == reason for row in rows) == count
    assert {row["text"] for row in rows if row["reason"] == "too_short"} == {"short"}


def test_a_post_of_boilerplate_alone_is_dropped(tmp_path: Path) -> None:
    body = "&lt;p&gt;Thanks in advance!&lt;/p&gt;&lt;p&gt;Any help would be appreciated.&lt;/p&gt;"
    (tmp_path / "Posts.xml").write_text(
        f'<row Id="1" PostTypeId="2" Body="{body}" />\n<row Id="2" PostTypeId="2" Body="{sentence(1)}" />\n'
    )
    assert build_corpus(tmp_path / "out", SMALL_PARTS, tmp_path).counts["dropped"] == {"boilerplate": 1}


def test_near_duplicates_are_dropped_on_request(tmp_path: Path) -> None:
    texts = [sentence(number, 60) for number in range(40)]
    texts += [f"{text} indeed" for text in texts[:10]]
    rows = (f'<row Id="{number}" PostTypeId="2" Body="{text}" />' for number, text in enumerate(texts))
    (tmp_path / "Posts.xml").write_text("\n".join(rows))
    found = build_corpus(tmp_path / "out", replace(SMALL_PARTS, part_megabytes=0.005, near_duplicates=True), tmp_path)
    assert found.counts["dropped"] == {"near_duplicate": 10}
    assert len({post.text.removesuffix(" indeed") for post in read_posts(tmp_path / "out")}) == 40


def test_a_corpus_is_decontaminated_against_a_labelled_set_from_elsewhere(tmp_path: Path) -> None:
    write_dump(tmp_path)
    build_corpus(tmp_path / "all", SMALL_PARTS, tmp_path)
    questions = [post for post in read_posts(tmp_path / "all") if post.kind == "question"][:20]
    (tmp_path / "labels").mkdir()
    columns = {
        "id": [f"other-{post.id}" for post in questions],
        "text": [post.whole_text.upper() for post in questions],
    }
    pq.write_table(pa.table(columns), tmp_path / "labels" / "test.parquet")
    manifest = build_corpus(tmp_path / "out", replace(SMALL_PARTS, decontaminate_against="labels"), tmp_path)
    assert manifest.counts["dropped"]["contamination_text"] == 20 and "decontaminate_against" in manifest.inputs
    assert not {post.id for post in questions} & {post.id for post in read_posts(tmp_path / "out")}
    found = audit(tmp_path / "out", tmp_path / "labels")
    assert found.total == 0 < audit(tmp_path / "all", tmp_path / "labels").total


@pytest.mark.parametrize("stage", ["reading", "finding duplicates", "writing posts"])
def test_an_interrupted_build_does_not_repeat_finished_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    write_dump(tmp_path)
    straight = build_corpus(tmp_path / "straight", SMALL_PARTS, tmp_path)
    run_rank, done = executor_module._run_rank, list[str]()

    def stop_at_three(executor: object, rank: int) -> None:
        done.append(str(executor.logging_dir.path))  # type: ignore[attr-defined]
        if stage.replace(" ", "-") in done[-1] and rank == 3 % executor.tasks and len(done) < 100:  # type: ignore[attr-defined]
            done.extend(["stopped"] * 100)
            raise KeyboardInterrupt
        run_rank(executor, rank)  # type: ignore[arg-type]

    monkeypatch.setattr(executor_module, "_run_rank", stop_at_three)
    with pytest.raises(KeyboardInterrupt):
        build_corpus(tmp_path / "out", SMALL_PARTS, tmp_path)
    before = len([name for name in done if name != "stopped"])
    done.clear()
    done.extend(["stopped"] * 100)
    again = build_corpus(tmp_path / "out", SMALL_PARTS, tmp_path)
    assert again.files == straight.files and again.counts == straight.counts
    ranks = 2 * (len(straight.files)) + 1
    assert before - 1 + len(done) - 100 == ranks  # only the interrupted task runs twice


def test_a_build_started_with_another_configuration_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dump(tmp_path)
    monkeypatch.setattr("corpora.build.build.range_count", lambda parts: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_corpus(tmp_path / "out", SMALL_PARTS, tmp_path)
    with pytest.raises(StackbertError, match=r"was started with another configuration.*\n.*min_characters: 20 -> 21"):
        build_corpus(tmp_path / "out", replace(SMALL_PARTS, min_characters=21), tmp_path)


def sha256_of_files(folder: Path) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in load_manifest(folder).files.items()}


@pytest.mark.slow
def test_a_build_that_is_killed_and_repeated_gives_the_same_files(tmp_path: Path) -> None:
    """SIGKILL to the whole process group, at random moments of a build with two processes."""
    write_dump(tmp_path, 30_000)
    command = [sys.executable, "-m", "stackbert", "corpora", "build", "--source", "dump", "--path", "Posts.xml"]
    command += ["--part-megabytes", "0.5", "--processes", "2", "--out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    start = time.monotonic()
    subprocess.run([*command, "straight"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    straight_seconds = time.monotonic() - start
    chosen, kills = random.Random(0), 0
    for _ in range(100):
        process = subprocess.Popen(
            [*command, "out"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(chosen.uniform(0.3, 1.1) * straight_seconds)
        except subprocess.TimeoutExpired:
            kills += 1
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if (tmp_path / "out").exists():
            assert sha256_of_files(tmp_path / "out") == sha256_of_files(tmp_path / "straight")
            if kills >= KILLS:
                break
            shutil.rmtree(tmp_path / "out")
    print(f"killed {kills} times in builds of {straight_seconds:.1f} s; the files are a straight build's")
    assert kills >= KILLS


KILLS = int(os.environ.get("STACKBERT_KILLS", "6"))
"""50 for the published figure; each takes some seconds."""
