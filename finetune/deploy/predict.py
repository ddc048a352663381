"""Predicts the labels of a text, of a file of texts or of standard input."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from corpora.sources.lines import BYTE_ORDER_MARK
from finetune.deploy.bundle import LabelScore, load_bundle, require_bundle
from finetune.deploy.config import PredictConfig
from finetune.deploy.input_texts import STANDARD_INPUT, InputText, decoded, input_texts
from stackbert.core.errors import StackbertError, require
from stackbert.core.printing import printable
from stackbert.core.progress import Progress

CHUNK_TEXTS = 256
MAX_CHARACTERS = 80
"""Characters of a text shown above its labels."""
NAMED_EMPTY = 3
"""Empty texts whose places are named."""


def predict(model: Path, text: str, config: PredictConfig) -> Iterator[str]:
    """Yield the output for `text` ('-' reads one text from standard input), or for each text of `config.file`.

    Empty texts of a file are left out, which is said on standard error. Raises StackbertError unless exactly one of
    both is given, if there is no text, or if one cannot be read: after the output of those before it.
    """
    require(bool(text) != bool(config.file), "give either a text or --file")
    require_bundle(model)
    texts = input_texts(config) if config.file else iter([InputText("", _one_text(text))])
    empty: list[str] = []
    chunks = _chunks(_without_empty(texts, empty), 1 if config.file == "-" else CHUNK_TEXTS)
    first = next(chunks, None)  # what cannot be read is said before the classifier is loaded
    if first is None:
        raise StackbertError(f"{_name(config)}: holds no text{_described(empty)}")
    bundle = load_bundle(model)
    require(
        config.code == "mark" or not (config.body_column and bundle.classifier.config.code_tokens),
        f"{model}: reads code apart from the body (code_tokens), so bodies need --code mark",
    )
    quiet = config.file in ("", "-") or sys.stdout.isatty()
    with Progress("labelled", None, unit="texts", quiet=quiet) as progress:
        for chunk in _with_first(first, chunks):
            for one, labels in zip(chunk, bundle.predict([one.text for one in chunk]), strict=True):
                shown = [label for label in labels[: config.top] if label.score >= config.threshold]
                yield _as_json(one, shown, config) if config.json else _as_lines(one, shown, config)
            progress.advance(len(chunk))
    if empty:
        print(f"{_name(config)}: left out{_described(empty)}", file=sys.stderr)


def _name(config: PredictConfig) -> str:
    return STANDARD_INPUT if config.file in ("", "-") else config.file


def _one_text(text: str) -> str:
    """The text given, or that of standard input; raises StackbertError if it is empty or not UTF-8."""
    if text == "-":
        text = decoded(sys.stdin.buffer.read().removeprefix(BYTE_ORDER_MARK), STANDARD_INPUT)
    try:
        text.encode()
    except UnicodeEncodeError as error:  # what the system gave was not UTF-8
        raise StackbertError(f"TEXT: not UTF-8 at character {error.start + 1}") from None
    return text


def _without_empty(texts: Iterable[InputText], empty: list[str]) -> Iterator[InputText]:
    for one in texts:
        if one.text.strip():
            yield one
        else:
            empty.append(one.where)


def _described(empty: list[str]) -> str:
    """Number and first places of empty texts.

    >>> _described(["line 2", "line 5"]), _described([])
    (': 2 empty texts, in line 2, line 5', '')
    """
    places = [place for place in empty[:NAMED_EMPTY] if place]
    if not places:
        return ""
    more = ", ..." if len(empty) > NAMED_EMPTY else ""
    return f": {len(empty):,} empty text{'s' * (len(empty) > 1)}, in {', '.join(places)}{more}"


def _chunks(texts: Iterator[InputText], size: int) -> Iterator[list[InputText]]:
    """Lists of `size` texts; the texts before one that cannot be read come before its error."""
    chunk: list[InputText] = []
    try:
        for one in texts:
            chunk.append(one)
            if len(chunk) == size:
                yield chunk
                chunk = []
    except StackbertError:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def _with_first(first: list[InputText], others: Iterator[list[InputText]]) -> Iterator[list[InputText]]:
    yield first
    yield from others


def _as_json(one: InputText, labels: list[LabelScore], config: PredictConfig) -> str:
    found: dict[str, Any] = {"where": one.where} if config.file else {}
    if config.id_column:
        found["id"] = one.id
    found |= {"text": one.text, "labels": [label._asdict() for label in labels]}
    return json.dumps(found, ensure_ascii=False, default=str)  # str for dates and decimals


def _as_lines(one: InputText, labels: list[LabelScore], config: PredictConfig) -> str:
    lines = [f"{'*' if label.chosen else ' '} {label.score:.3f}  {printable(label.name)}" for label in labels]
    if config.file:
        title = f"{one.id}: {one.text}" if config.id_column else one.text
        lines = [printable(" ".join(title[: 10 * MAX_CHARACTERS].split())[:MAX_CHARACTERS]), *lines, ""]
    return "\n".join(lines)
