"""Uploads a classifier or a pretrained checkpoint to the Hugging Face hub."""

from pathlib import Path

from stackbert.core.errors import StackbertError
from tokenizer.files.tokenizer_files import load_tokenizer

CARD = "README.md"
NOT_UPLOADED = ("checkpoints/*", "tensorboard/*")
"""Files of a pretraining's output that are not uploaded."""


def push(model: Path, repository: str, private: bool = False) -> str:
    """Upload the folder `model` to the hub repository 'owner/name', which is created if it does not exist.

    Returns the URL of the commit. The hub's client finds the token (from 'hf auth login' or HF_TOKEN). Raises
    StackbertError if the folder is not a checkpoint with a model card, or the hub refuses the upload.
    """
    from huggingface_hub import HfApi, errors  # slow to import

    missing = [name for name in (CARD, "config.json", "model.safetensors") if not (model / name).is_file()]
    if missing:
        raise StackbertError(
            f"{model}: no {', '.join(missing)}; push a classifier of a comparison's 'models', or a pretraining's output"
        )
    load_tokenizer(model)  # raises where it is not one that whoever downloads the model can use
    api = HfApi(library_name="stackbert")
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=model,
            commit_message="Upload with Stackbert",
            ignore_patterns=list(NOT_UPLOADED),
        )
    except errors.HFValidationError as error:
        raise StackbertError(
            f"{repository}: not a valid repository name, which has the form owner/name: {error}"
        ) from None
    except errors.LocalTokenNotFoundError:
        raise StackbertError("no token for the hub found: run 'hf auth login', or set HF_TOKEN") from None
    except errors.HfHubHTTPError as error:
        first = str(error).strip().partition("\n")[0]
        raise StackbertError(
            f"{repository}: the hub refused the upload: {first}; check the name, and that the token of "
            "'hf auth login' or HF_TOKEN has write access"
        ) from None
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]  # of the client's HTTP library
        raise StackbertError(f"{repository}: the hub does not answer: {error}; try again") from None
    return str(done)
