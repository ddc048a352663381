"""Output folders are whole or absent, made once, and verified when read."""

import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stackbert.core.artifact import (
    MANIFEST,
    REQUEST,
    SCRATCH,
    ArtifactError,
    Manifest,
    build_artifact,
    differences,
    identify,
    load_manifest,
    require_artifact,
)
from stackbert.core.errors import StackbertError
from stackbert.core.staging import locked


@dataclass(frozen=True)
class Config:
    size: int = 1
    names: tuple[str, ...] = ("a", "b")


def write_text(folder: Path) -> dict[str, Any]:
    (folder / "inner").mkdir()
    (folder / "inner" / "text.txt").write_text("text")
    return {"texts": 1}


def never(folder: Path) -> dict[str, Any]:
    raise AssertionError("the work was done again")


def make(out: Path, config: Config = Config(), version: str = "1", work: Any = write_text) -> Manifest:
    return build_artifact(out, "test make", config, {"package": version}, work)


def test_the_manifest_records_configuration_inputs_and_files(tmp_path: Path) -> None:
    manifest = make(tmp_path / "deep" / "out")
    assert manifest == load_manifest(tmp_path / "deep" / "out")
    assert manifest.config == {"size": 1, "names": ["a", "b"]}
    assert manifest.files["inner/text.txt"]["bytes"] == 4
    assert manifest.counts == {"texts": 1}
    assert identify(tmp_path / "deep" / "out") == manifest.identity


def test_a_finished_request_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = make(tmp_path / "out")
    assert capsys.readouterr().out == ""
    assert made == make(tmp_path / "out", work=never)
    assert capsys.readouterr().out == f"{tmp_path / 'out'}: already finished, with these settings and inputs\n"


def test_what_was_made_with_other_settings_is_not_called_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "out")
    with pytest.raises(ArtifactError, match=r"config\.size: 1 -> 2"):
        make(tmp_path / "out", Config(size=2), work=never)
    assert "finished" not in capsys.readouterr().out


def test_another_request_lists_every_difference(tmp_path: Path) -> None:
    make(tmp_path / "out")
    with pytest.raises(ArtifactError) as error:
        make(tmp_path / "out", Config(size=2, names=()), "2", never)
    for line in ("config.size: 1 -> 2", "config.names: ['a', 'b'] -> []", "inputs.package: '1' -> '2'"):
        assert line in str(error.value)


def test_identity_depends_on_content_and_not_on_time_or_folder(tmp_path: Path) -> None:
    assert make(tmp_path / "a").identity == make(tmp_path / "b").identity
    assert make(tmp_path / "c", Config(size=2)).identity != make(tmp_path / "a").identity


@pytest.mark.parametrize("change", ["byte", "extra", "missing"])
def test_a_changed_input_folder_is_refused(tmp_path: Path, change: str) -> None:
    make(tmp_path / "out")
    file = tmp_path / "out" / "inner" / "text.txt"
    if change == "byte":
        file.write_text("texT")
    elif change == "extra":
        file.with_name("more.txt").touch()
    else:
        file.unlink()
    with pytest.raises(ArtifactError, match=r"changed since it was made: inner/"):
        build_artifact(tmp_path / "next", "test next", Config(), {"text": tmp_path / "out"}, write_text)


def test_work_that_fails_leaves_no_output_and_can_be_repeated(tmp_path: Path) -> None:
    def fail(folder: Path) -> dict[str, Any]:
        (folder / "half.txt").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        make(tmp_path / "out", work=fail)
    assert not (tmp_path / "out").exists()
    assert list(make(tmp_path / "out").files) == ["inner/text.txt"]
    assert not (tmp_path / "out.partial").exists()


def test_a_resumable_stage_continues_only_with_the_same_request(tmp_path: Path) -> None:
    def stop(folder: Path) -> dict[str, Any]:
        (folder / "half.txt").write_text("1")
        raise KeyboardInterrupt

    def go_on(folder: Path) -> dict[str, Any]:
        return {"found": (folder / "half.txt").read_text()}

    with pytest.raises(KeyboardInterrupt):
        build_artifact(tmp_path / "out", "test", Config(), {}, stop, resumable=True)
    with pytest.raises(ArtifactError, match=r"was started with another configuration(.|\n)*config.size: 1 -> 2"):
        build_artifact(tmp_path / "out", "test", Config(size=2), {}, go_on, resumable=True)
    assert build_artifact(tmp_path / "out", "test", Config(), {}, go_on, resumable=True).counts == {"found": "1"}


def test_a_request_that_failed_before_writing_does_not_block_others(tmp_path: Path) -> None:
    def refuse(folder: Path) -> dict[str, Any]:
        (folder / SCRATCH / "parts").mkdir(parents=True)
        raise StackbertError("size 1: too small")

    with pytest.raises(StackbertError, match="too small"):
        build_artifact(tmp_path / "out", "test make", Config(1), {}, refuse, resumable=True)
    made = build_artifact(tmp_path / "out", "test make", Config(2), {}, write_text, resumable=True)
    assert made.counts == {"texts": 1}


def test_a_second_process_is_refused_and_a_stale_lock_is_not(tmp_path: Path) -> None:
    lock = tmp_path / ".out.lock"
    lock.write_text("process 4711 on elsewhere")
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ArtifactError, match="is being written by process 4711 on elsewhere"):
            make(tmp_path / "out", work=never)
    make(tmp_path / "out")
    assert not lock.exists()


def test_the_lock_names_its_owner_while_the_work_is_done(tmp_path: Path) -> None:
    def read_lock(folder: Path) -> dict[str, Any]:
        return {"owner": (folder.parent / ".out.lock").read_text()}

    assert f"process {os.getpid()} on" in make(tmp_path / "out", work=read_lock).counts["owner"]


def test_a_lock_whose_owner_removes_it_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, flock = tmp_path / ".out.lock", fcntl.flock

    def flock_after_removal(lock: Any, operation: int) -> None:
        monkeypatch.undo()  # the first time only: the owner ends between opening the file and locking it
        path.unlink()
        flock(lock, operation)

    monkeypatch.setattr(fcntl, "flock", flock_after_removal)
    with locked(tmp_path / "out"), pytest.raises(ArtifactError, match="is being written by"), locked(tmp_path / "out"):
        pass


def test_damaged_or_missing_manifests_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such folder; it should be the output of 'test make'"):
        require_artifact(tmp_path / "out", "test make")
    with pytest.raises(ArtifactError, match=r"no manifest\.json, so .* it should be the output of 'test make'"):
        require_artifact(tmp_path, "test make")
    make(tmp_path / "out")
    with pytest.raises(ArtifactError, match="holds the output of 'test make', not of 'a b' or 'c d'"):
        require_artifact(tmp_path / "out", "a b", "c d")
    (tmp_path / "out" / MANIFEST).write_text(json.dumps({"stage": "x"}))
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_manifest(tmp_path / "out")
    (tmp_path / "out" / MANIFEST).unlink()
    with pytest.raises(ArtifactError, match="not a finished output"):
        make(tmp_path / "out", work=never)


def test_differences_are_dotted_paths() -> None:
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "d": 3}}) == ["a.c: 2 -> None", "a.d: None -> 3"]


def test_a_staging_folder_without_a_request_is_emptied(tmp_path):
    staging = tmp_path / "out.partial"
    staging.mkdir()
    (staging / "of-another-request").write_text("x")
    found: list[list[str]] = []

    def work(folder: Path) -> dict:
        found.append(sorted(path.name for path in folder.iterdir()))
        return {}

    build_artifact(tmp_path / "out", "test make", {}, {}, work, resumable=True)
    assert found == [["request.json"]]


def test_scratch_is_deleted_on_success_and_not_in_the_output(tmp_path):
    def work(folder: Path) -> dict:
        (folder / SCRATCH).mkdir()
        (folder / SCRATCH / "state").write_text("x")
        (folder / "result").write_text("y")
        return {}

    manifest = build_artifact(tmp_path / "out", "test make", {}, {}, work, resumable=True)
    assert list(manifest.files) == ["result"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "result"]


def refused_after(seconds: float, out: Path) -> None:
    """A resumable run that finished a file and was refused, with `seconds` of work."""

    def refuse(folder: Path) -> dict[str, Any]:
        (folder / "part").write_text("1")
        begun = (folder / REQUEST).stat().st_mtime
        os.utime(folder / "part", (begun + seconds, begun + seconds))
        raise StackbertError("row 7: is not a row; repair the file")

    with pytest.raises(StackbertError, match="row 7"):
        build_artifact(out, "test make", Config(1), {"file": "bad"}, refuse, resumable=True)


def test_a_refused_command_does_not_block_its_mended_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for mended in (Config(2), Config(1)):  # another setting; the same setting with the file repaired
        refused_after(5, tmp_path / "out")
        made = build_artifact(tmp_path / "out", "test make", mended, {"file": "good"}, write_text, resumable=True)
        assert list(made.files) == ["inner/text.txt"]
        assert "was left by a command that was refused; it is made anew" in capsys.readouterr().err
        shutil.rmtree(tmp_path / "out")


def test_hours_of_work_of_a_refused_command_are_kept_and_the_difference_is_named(tmp_path: Path) -> None:
    refused_after(7_200, tmp_path / "out")
    with pytest.raises(ArtifactError, match=r"inputs.file: 'bad' -> 'good'(.|\n)*rm -r .*out.partial"):
        build_artifact(tmp_path / "out", "test make", Config(1), {"file": "good"}, never, resumable=True)

    def continued(folder: Path) -> dict[str, Any]:
        return {"found": (folder / "part").read_text()}

    made = build_artifact(tmp_path / "out", "test make", Config(1), {"file": "bad"}, continued, resumable=True)
    assert made.counts == {"found": "1"} and list(made.files) == ["part"]


def test_a_refused_stage_that_cannot_be_continued_leaves_nothing(tmp_path: Path) -> None:
    def refuse(folder: Path) -> dict[str, Any]:
        (folder / "half").write_text("1")
        raise StackbertError("refused")

    with pytest.raises(StackbertError, match="refused"):
        make(tmp_path / "out", work=refuse)
    assert sorted(path.name for path in tmp_path.iterdir()) == []


def test_a_finished_folder_on_a_read_only_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(tmp_path / "out")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert make(tmp_path / "out", work=never) == made
    assert not (tmp_path / ".out.lock").exists()
