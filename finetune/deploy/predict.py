"""Labels for one text, a file of texts, or standard input, as lines."""

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from finetune.config import PredictConfig
from finetune.deploy.bundle import LabelScore, load_bundle
from stackbert.core.errors import StackbertError
from stackbert.core.printing import printable

TEXTS_AT_ONCE = 256
JSON_LINES = (".jsonl", ".ndjson", ".json")
SHOWN = 80
"""Characters of a text repeated above its labels."""


def predict(model: Path, text: str, config: PredictConfig) -> Iterator[str]:
    """Lines with the labels of `text` ('-': all of standard input) or of each text of `config.file`, as they come.

    Raises StackbertError where there is nothing to label, or for a line that is no JSON object with a text.
    """
    if bool(text) == bool(config.file):
        raise StackbertError("give either a text or --file")
    texts = _texts_of(config.file) if config.file else iter([sys.stdin.read() if text == "-" else text])
    bundle = load_bundle(model)
    at_once = 1 if config.file == "-" else TEXTS_AT_ONCE  # who writes to standard input may wait for each answer
    while chunk := list(itertools.islice(texts, at_once)):
        for one, labels in zip(chunk, bundle.predict(chunk), strict=True):
            shown = [label for label in labels[: config.top] if label.score >= config.threshold]
            yield _as_json(one, shown) if config.json else _as_lines(one, shown, titled=bool(config.file))


def _texts_of(file: str) -> Iterator[str]:
    try:
        stream = sys.stdin if file == "-" else Path(file).open(encoding="utf-8")  # noqa: SIM115 - closed at the end
        with stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield _text_of(line.rstrip("\n"), file, number)
    except OSError as error:
        raise StackbertError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise StackbertError(f"{file}: not UTF-8 text: {error}") from None


def _text_of(line: str, file: str, number: int) -> str:
    """The text of one line: of standard input, that of a JSON object with one, else the line as it is."""
    must_be_json = file.endswith(JSON_LINES)
    if not must_be_json and file != "-":
        return line
    try:
        found = json.loads(line)
    except ValueError as error:
        if must_be_json:
            raise StackbertError(f"{file}: line {number}: not JSON: {error}") from None
        return line
    if isinstance(found, dict) and isinstance(found.get("text"), str):
        return found["text"]
    if must_be_json:
        raise StackbertError(f"{file}: line {number}: has no 'text' that is a string")
    return line


def _as_json(text: str, labels: list[LabelScore]) -> str:
    return json.dumps({"text": text, "labels": [label._asdict() for label in labels]}, ensure_ascii=False)


def _as_lines(text: str, labels: list[LabelScore], titled: bool) -> str:
    lines = [f"{'*' if label.chosen else ' '} {label.score:.3f}  {printable(label.name)}" for label in labels]
    return "\n".join([printable(" ".join(text.split())[:SHOWN]), *lines, ""] if titled else lines)
