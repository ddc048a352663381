"""Where an output can and cannot be: said before any work, in one line."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from stackbert.core.artifact import build_artifact
from stackbert.core.errors import ArtifactError
from stackbert.core.place import require_file_place, require_folder_place


def never(folder: Path) -> dict[str, Any]:
    raise AssertionError("work was done")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with entries of several kinds."""
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("data").mkdir()
    Path("link").symlink_to("nowhere")
    Path("loop").symlink_to("loop")
    Path("to-data").symlink_to("data")
    Path("other").mkdir()
    Path("to-other").symlink_to("other")
    return tmp_path


@pytest.mark.parametrize(
    ("out", "said"),
    [
        (".", "cannot be the output, which is a new folder"),
        ("./", "cannot be the output"),
        ("", "cannot be the output"),
        ("/", "cannot be the output"),
        ("..", "cannot be the output"),
        ("data/..", "cannot be the output"),
        ("file", "is a file; name a folder"),
        ("/dev/null", "is a file"),
        ("file/posts", "file is not a folder"),
        ("file/a/b/posts", "file is not a folder"),
        ("link", r"is a link that leads nowhere \(nowhere\)"),
        ("link/posts", "link is not a folder"),
        ("loop", "leads nowhere"),
        ("loop/posts", "loop is not a folder|symbolic links"),
        ("to-data", "is the input data itself"),
        ("data", "is the input data itself"),
        ("to-other", "not a finished output"),
        ("other", "not a finished output"),
        ("a\0b", "NUL"),
        ("a\0b/posts", "NUL"),
        ("x" * 256, "too long"),
        ("x" * 250, "too long"),  # the folder in which it is made has a longer name
        ("x" * 300 + "/posts", "too long"),
        ("~/posts", "in full"),
        ("~", "in full"),
        ("data/inner", "inside the input data"),
        ("to-data/inner", "inside the input data"),
    ],
)
def test_an_output_folder_that_cannot_be_is_refused_before_any_work(folder: Path, out: str, said: str) -> None:
    Path("data/text").write_text("x")
    with pytest.raises(ArtifactError, match=said) as error:
        build_artifact(Path(out), "test", {}, {"data": Path("data")}, never)
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in folder.iterdir()) == [
        "data",
        "file",
        "link",
        "loop",
        "other",
        "to-data",
        "to-other",
    ]
    assert [path.name for path in Path("data").iterdir()] == ["text"]


@pytest.mark.parametrize(("out", "data"), [("a", "a"), ("a", "a/b"), ("a", "a.partial"), ("a", "a.partial/b")])
def test_an_output_that_would_overwrite_its_input_is_refused(tmp_path: Path, out: str, data: str) -> None:
    (tmp_path / data).mkdir(parents=True)
    with pytest.raises(ArtifactError, match=r"is the input|holds the input"):
        require_folder_place(tmp_path / out, tmp_path / data)
    require_folder_place(tmp_path / "b", tmp_path / data)


def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    for out in (tmp_path / "out", tmp_path / "a" / "b" / "out"):
        with pytest.raises(ArtifactError, match=rf"{tmp_path} cannot be written to; ask for the permission"):
            require_folder_place(out)


def test_a_read_only_disk_is_named(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(ArtifactError, match=f"{disk} cannot be written to"):
        build_artifact(disk / "out", "test", {}, {}, never)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (".", "cannot be the output, which is a new file"),
        ("data", "is a folder; name a file in it"),
        ("to-data", "is a folder"),
        ("file/page.md", "is not a folder"),
        ("link", "leads nowhere"),
        ("~/page.md", "in full"),
        ("data/page.md", "inside the input data, which it would change"),
        ("y" * 256, "too long"),
        ("a\0", "NUL"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(folder: Path, path: str, said: str) -> None:
    with pytest.raises(ArtifactError, match=said):
        require_file_place(Path(path), Path("data"))


def test_the_folder_of_a_file_to_write_is_made(folder: Path) -> None:
    require_file_place(Path("new/deep/page.md"), Path("data"))
    Path("new/deep/page.md").write_text("x")
    require_file_place(Path("file"))


@pytest.mark.parametrize("require", [require_file_place, require_folder_place])
@pytest.mark.parametrize("place", ["manifest.json", "new", "deep/new"])
def test_nothing_is_written_into_a_finished_output(place: str, require: Any, folder: Path) -> None:
    """The output is no input of the command, so that only its manifest tells what it is."""
    Path("finished").mkdir()
    Path("finished/manifest.json").write_text('{"stage": "corpora build", "identity": "0"}')
    with pytest.raises(ArtifactError, match=r"is (inside .*finished, a finished output|a file)"):
        require(Path("finished") / place)


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"name": "a web application"}'])
@pytest.mark.parametrize("require", [require_file_place, require_folder_place])
def test_a_manifest_of_something_else_does_not_make_an_output(require: Any, content: str, folder: Path) -> None:
    Path("manifest.json").write_text(content)
    require(Path("new/out"))
