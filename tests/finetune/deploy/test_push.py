"""Uploads to a hub, through its own client."""

import os
import subprocess
import sys

import pytest

from finetune.deploy.push import push
from stackbert.core.errors import StackbertError
from tests.finetune.hub import TOKEN, running_hub


@pytest.fixture
def model(tiny_base, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((tiny_base / name).read_bytes())
    (folder / "README.md").write_text("---\nlibrary_name: transformers\n---\n# A model\n")
    return folder


def pushed(model, address: str, token: str, name: str = "owner/tags") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as the client reads where the hub is when it is imported."""
    settings = {"HF_ENDPOINT": address, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-m", "stackbert", "finetune", "push", str(model), name]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | settings)


def test_files_arrive_as_they_are(model):
    with running_hub() as hub:
        done = pushed(model, hub.address, TOKEN)
        assert done.returncode == 0, done.stderr
        assert hub.address in done.stdout
        assert hub.uploaded["owner/tags"] == {path.name: path.read_bytes() for path in model.iterdir()}


def test_refusals_are_explained(model):
    with running_hub() as hub:
        done = pushed(model, hub.address, "wrong")
        assert done.returncode == 1
        assert "stackbert: owner/tags: the hub refused the upload" in done.stderr
        assert "HF_TOKEN" in done.stderr
        done = pushed(model, hub.address, TOKEN, "no//name")
        assert done.returncode == 1
        assert "not a valid repository name" in done.stderr
        assert not hub.uploaded


def test_hub_that_does_not_answer_is_an_error(model):
    with running_hub() as hub:
        closed = hub.address
    done = pushed(model, closed, TOKEN)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("stackbert: owner/tags: the hub does not answer:")


def test_folder_that_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(StackbertError, match=r"no README\.md, config\.json, model\.safetensors"):
        push(tmp_path, "owner/name")
