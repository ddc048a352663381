"""A small page on this machine: type a question, see its labels and how it was read; and the same as JSON."""

import json
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from finetune.deploy.bundle import Bundle, load_bundle
from stackbert.core.errors import StackbertError
from stackbert.core.page import page_environment
from tokenizer.report.view import SPECIALS, UNKNOWN, words_of

MAX_BODY = 1_000_000  # bytes; far beyond any question
SHOWN_LABELS = 8
NOTHING_ELSE = "default-src 'none'; form-action 'self'; frame-ancestors 'none'"
PLACES = "there are / for people, and POST /predict"
EXAMPLE = "How do I connect to a mysql database from node.js?"


def serve(model: Path, host: str, port: int) -> None:
    """Serve the classifier in `model` until interrupted; port 0 takes a free one. The address is printed."""
    with make_server(load_bundle(model), model.name, host, port) as server:
        shown = f"[{host}]" if ":" in host else host
        print(f"http://{shown}:{server.server_address[1]}/  (Ctrl+C ends it; JSON: POST /predict)", flush=True)
        server.serve_forever()


def make_server(bundle: Bundle, name: str, host: str, port: int) -> ThreadingHTTPServer:
    """A server that is not yet serving; raises StackbertError where the address cannot be had."""
    handler = type("BoundHandler", (_Handler,), {"answers": _Answers(bundle), "model_name": name})
    try:
        return ThreadingHTTPServer((host, port), handler)
    except OSError as error:
        raise StackbertError(f"{host}:{port}: {error.strerror}; choose another --port") from None


class _Answers:
    """What the classifier says, one text at a time: the encoder already uses all cores."""

    def __init__(self, bundle: Bundle):
        self._bundle, self._lock = bundle, threading.Lock()

    def of(self, text: str, top: int) -> dict[str, Any]:
        classifier = self._bundle.classifier
        with self._lock:
            labels = self._bundle.predict([text])[0]
            ids = classifier.sequences([text])[0]
        tokens = [classifier.reader.tokenizer.id_to_token(number) for number in ids]
        return {
            "labels": [label._asdict() for label in labels[:top]],
            "tokens": tokens,
            "tokens_read": len(tokens),
            "max_length": classifier.config.max_length,
        }


class _Handler(BaseHTTPRequestHandler):
    answers: _Answers
    model_name: str
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds that a connection may keep a thread waiting

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/":
            self._page(EXAMPLE)
        else:
            self._json(HTTPStatus.NOT_FOUND, {"error": PLACES})

    def do_POST(self) -> None:
        place = urlsplit(self.path).path
        try:
            body = self._body()
            if place == "/":
                self._page(parse_qs(body.decode()).get("text", [""])[0])
            elif place == "/predict":
                self._json(HTTPStatus.OK, self.answers.of(*_asked(body)))
            else:
                self._json(HTTPStatus.NOT_FOUND, {"error": PLACES})
        except (ValueError, RecursionError) as error:  # of JSON, which may nest too deep, and of UTF-8 among them
            self.close_connection = True  # what is left of the body is not read
            self._json(HTTPStatus.BAD_REQUEST, {"error": str(error)})

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the texts that people try are nobody's business."""

    def _body(self) -> bytes:
        """The request's body; raises ValueError where it has no length or too great a one."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            raise ValueError(f"send a body of {MAX_BODY:,} bytes at most, with its Content-Length")
        return self.rfile.read(int(length))

    def _page(self, text: str) -> None:
        nonce = secrets.token_urlsafe(16)
        allowed = f"style-src 'unsafe-inline'; img-src data:; script-src 'nonce-{nonce}'; connect-src 'self'"
        environment = page_environment(Path(__file__).parent)
        environment.filters["words_of"] = words_of
        page = environment.get_template("serve.html.j2").render(
            name=self.model_name,
            text=text,
            answer=self.answers.of(text, SHOWN_LABELS),
            nonce=nonce,
            colours=(),
            specials=sorted(SPECIALS),
            unknown=sorted(UNKNOWN),
        )
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", page.encode(), f"{NOTHING_ELSE}; {allowed}")

    def _json(self, status: HTTPStatus, value: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(value).encode(), NOTHING_ELSE)

    def _send(self, status: HTTPStatus, kind: str, content: bytes, policy: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)


def _asked(body: bytes) -> tuple[str, int]:
    """Text and number of labels that a JSON body asks for; raises ValueError that says what is wrong with it."""
    asked = json.loads(body)
    if not isinstance(asked, dict) or not isinstance(asked.get("text"), str):
        raise ValueError('send {"text": "...", "top": 5}')
    top = asked.get("top", 5)
    if not isinstance(top, int) or top < 1:
        raise ValueError(f"top {top!r}: must be a whole number above 0")
    return asked["text"], top
