"""Predicts the labels of a text, of a file of texts or of standard input."""

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finetune.config import PredictConfig
from finetune.deploy.bundle import LabelScore, load_bundle
from stackbert.core.errors import StackbertError
from stackbert.core.printing import printable

CHUNK_TEXTS = 256
JSON_LINES = (".jsonl", ".ndjson", ".json")
MAX_CHARACTERS = 80
"""Characters of a text shown above its labels."""


def predict(model: Path, text: str, config: PredictConfig) -> Iterator[str]:
    """Yield the output for `text` ('-' reads one text from standard input), or for each text of `config.file`.

    Raises StackbertError unless exactly one of them is given, or if a line of a JSON file has no text.
    """
    if bool(text) == bool(config.file):
        raise StackbertError("give either a text or --file")
    texts = _texts_of(config.file) if config.file else iter([sys.stdin.read() if text == "-" else text])
    bundle = load_bundle(model)
    chunk_texts = 1 if config.file == "-" else CHUNK_TEXTS  # a program may wait for the answer to each line
    while chunk := list(itertools.islice(texts, chunk_texts)):
        for one, labels in zip(chunk, bundle.predict(chunk), strict=True):
            shown = [label for label in labels[: config.top] if label.score >= config.threshold]
            yield _as_json(one, shown) if config.json else _as_lines(one, shown, with_text=bool(config.file))


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
    """The text of a line: the 'text' of a JSON object, or else, unless `file` must be JSON, the line itself."""
    must_be_json = file.endswith(JSON_LINES)
    if not must_be_json and file != "-":
        return line
    try:
        found: Any = json.loads(line)
    except ValueError as error:
        if must_be_json:
            raise StackbertError(f"{file}: line {number}: not JSON: {error}") from None
        return line
    if isinstance(found, dict) and isinstance(found.get("text"), str):
        return str(found["text"])
    if must_be_json:
        raise StackbertError(f"{file}: line {number}: has no 'text' that is a string")
    return line


def _as_json(text: str, labels: list[LabelScore]) -> str:
    return json.dumps({"text": text, "labels": [label._asdict() for label in labels]}, ensure_ascii=False)


def _as_lines(text: str, labels: list[LabelScore], with_text: bool) -> str:
    lines = [f"{'*' if label.chosen else ' '} {label.score:.3f}  {printable(label.name)}" for label in labels]
    return "\n".join([printable(" ".join(text.split())[:MAX_CHARACTERS]), *lines, ""] if with_text else lines)
