"""A kept classifier, or any checkpoint of ours, to the Hugging Face hub."""

from pathlib import Path

from stackbert.core.errors import StackbertError

CARD = "README.md"
KEPT_HERE = ("checkpoints/*", "tensorboard/*")
"""Of a pretraining's output, what others have no use for."""


def push(model: Path, repository: str, private: bool = False) -> str:
    """Upload the folder `model` to the hub's `repository`, 'owner/name', which is made where it is not there.

    Returns the address of what was uploaded. The hub's own client finds the token ('hf auth login', or HF_TOKEN).
    Raises StackbertError where the folder is no checkpoint with a card, or the hub refuses it.
    """
    from huggingface_hub import HfApi  # slow to import
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, LocalTokenNotFoundError

    missing = [name for name in (CARD, "config.json", "model.safetensors") if not (model / name).is_file()]
    if missing:
        raise StackbertError(
            f"{model}: no {', '.join(missing)}; push a classifier of a comparison's 'models', or a pretraining's output"
        )
    api = HfApi(library_name="stackbert")
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=model,
            commit_message="Upload with Stackbert",
            ignore_patterns=list(KEPT_HERE),
        )
    except HFValidationError as error:
        raise StackbertError(f"{repository}: not a name of the hub's, which are as owner/name: {error}") from None
    except LocalTokenNotFoundError:
        raise StackbertError("the hub needs to know who uploads: run 'hf auth login', or set HF_TOKEN") from None
    except HfHubHTTPError as error:
        first = str(error).strip().partition("\n")[0]
        raise StackbertError(
            f"{repository}: the hub refuses: {first}; check the name, and that the token of 'hf auth login' or "
            "HF_TOKEN may write there"
        ) from None
    except (HTTPError, OSError) as error:  # the first is that of the library which the installed client sends with
        raise StackbertError(f"{repository}: the hub does not answer: {error}; try again") from None
    return str(done)
