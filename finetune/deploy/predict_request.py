"""A request to POST /predict: parsed and checked."""

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from finetune.deploy.config import ServeConfig
from stackbert.core.errors import nearest_hint

DEFAULT_TOP = 5
EXPECTED = 'send {"text": "..."} or {"texts": ["...", "..."]}, and if you like "top": 5'
_SURROGATE = re.compile("[\ud800-\udfff]")


class RequestError(Exception):
    """A request that is refused: the status, and what is wrong in words."""

    def __init__(self, status: HTTPStatus, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}


@dataclass(frozen=True)
class PredictRequest:
    """Texts to label."""

    texts: list[str]
    is_list: bool
    """Whether the texts came as a list, and are answered as one."""
    top: int = DEFAULT_TOP
    """Maximum number of labels per text."""


def parse_predict_request(body: bytes, limits: ServeConfig) -> PredictRequest:
    """The request that a body holds; raises RequestError if it is not one."""
    fields = _json_object(body)
    for name in fields:
        if name not in ("text", "texts", "top"):
            raise _bad(f"unknown field {_shown(name)}{nearest_hint(name, ('text', 'texts', 'top'))}; {EXPECTED}")
    if ("text" in fields) == ("texts" in fields):
        raise _bad(EXPECTED if fields.keys() <= {"top"} else f"text and texts: give one of them; {EXPECTED}")
    is_list = "texts" in fields
    texts = fields["texts"] if is_list else [fields["text"]]
    if not isinstance(texts, list):
        raise _bad(f"texts must be a list of strings, not {_shown(texts)}; {EXPECTED}")
    if not 1 <= len(texts) <= limits.max_texts:
        raise _bad(f"texts: {len(texts):,}, but a request may have 1 to {limits.max_texts:,}")
    for number, text in enumerate(texts):
        check_text(text, f"texts[{number}]" if is_list else "text", limits)
    top = fields.get("top", DEFAULT_TOP)
    if type(top) is not int or top < 1:
        raise _bad(f"top {_shown(top)}: must be a whole number above 0")
    return PredictRequest(texts, is_list, top)


def check_text(text: Any, name: str, limits: ServeConfig) -> None:
    """Raise RequestError if a text is not a string, too long or no Unicode text; `name` is for the message."""
    if not isinstance(text, str):
        raise _bad(f"{name} must be a string, not {_shown(text)}; {EXPECTED}")
    if len(text) > limits.max_characters:
        raise _bad(f"{name}: {len(text):,} characters, but a text may have {limits.max_characters:,} at most")
    if found := _SURROGATE.search(text):
        raise _bad(f"{name}: half of a surrogate pair at character {found.start()}; send whole characters")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _bad(f"the body is not UTF-8: {error.reason} 0x{body[error.start]:02x} at byte {error.start}") from None
    except RecursionError:
        raise _bad(f"the body is nested too deeply (recursion); {EXPECTED}") from None
    except ValueError as error:
        raise _bad(f"the body is not JSON: {error}; {EXPECTED}") from None
    if not isinstance(found, dict):
        raise _bad(EXPECTED)
    return found


def _bad(message: str) -> RequestError:
    return RequestError(HTTPStatus.BAD_REQUEST, message)


def _shown(value: Any) -> str:
    """A value as it is shown in a message, cut where it is long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    shown = ascii(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
