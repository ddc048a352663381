"""A local web server: a page to try a classifier on, and a JSON endpoint."""

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

MAX_BODY = 1_000_000  # bytes, far more than any text needs
SHOWN_LABELS = 8
BASE_POLICY = "default-src 'none'; form-action 'self'; frame-ancestors 'none'"
NOT_FOUND = "not found; there are GET /, POST / and POST /predict"
EXAMPLE = "How do I connect to a mysql database from node.js?"


def serve(model: Path, host: str, port: int) -> None:
    """Serve the classifier in `model` until interrupted, and print the address; port 0 chooses a free port."""
    with make_server(load_bundle(model), model.name, host, port) as server:
        shown = f"[{host}]" if ":" in host else host
        print(f"http://{shown}:{server.server_address[1]}/  (press Ctrl+C to stop; JSON: POST /predict)", flush=True)
        server.serve_forever()


def make_server(bundle: Bundle, name: str, host: str, port: int) -> ThreadingHTTPServer:
    """A server, not yet serving; raises StackbertError if it cannot listen on the address."""
    handler = type("BoundHandler", (_Handler,), {"predictor": _Predictor(bundle), "model_name": name})
    try:
        return ThreadingHTTPServer((host, port), handler)
    except OSError as error:
        raise StackbertError(f"{host}:{port}: {error.strerror}; choose another --port") from None


class _Predictor:
    """Predicts one text at a time, as the encoder already uses all cores."""

    def __init__(self, bundle: Bundle):
        self._bundle, self._lock = bundle, threading.Lock()

    def predict(self, text: str, top: int) -> dict[str, Any]:
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
    predictor: _Predictor
    model_name: str
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds that an idle connection may occupy a thread

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/":
            self._page(EXAMPLE)
        else:
            self._json(HTTPStatus.NOT_FOUND, {"error": NOT_FOUND})

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        try:
            body = self._body()
            if path == "/":
                self._page(parse_qs(body.decode()).get("text", [""])[0])
            elif path == "/predict":
                self._json(HTTPStatus.OK, self.predictor.predict(*_parse_request(body)))
            else:
                self._json(HTTPStatus.NOT_FOUND, {"error": NOT_FOUND})
        except (
            ValueError,
            RecursionError,
        ) as error:  # includes invalid JSON, JSON nested too deeply, and invalid UTF-8
            self.close_connection = True  # the rest of the body is not read
            self._json(HTTPStatus.BAD_REQUEST, {"error": str(error)})

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, as texts may be private."""

    def _body(self) -> bytes:
        """The request's body; raises ValueError if its length is missing or too large."""
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
            answer=self.predictor.predict(text, SHOWN_LABELS),
            nonce=nonce,
            colours=(),
            specials=sorted(SPECIALS),
            unknown=sorted(UNKNOWN),
        )
        self._send(HTTPStatus.OK, "text/html; charset=utf-8", page.encode(), f"{BASE_POLICY}; {allowed}")

    def _json(self, status: HTTPStatus, value: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(value).encode(), BASE_POLICY)

    def _send(self, status: HTTPStatus, kind: str, content: bytes, policy: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)


def _parse_request(body: bytes) -> tuple[str, int]:
    """The text and the maximum number of labels of a JSON request; raises ValueError if it is invalid."""
    request = json.loads(body)
    if not isinstance(request, dict) or not isinstance(request.get("text"), str):
        raise ValueError('send {"text": "...", "top": 5}')
    top = request.get("top", 5)
    if not isinstance(top, int) or top < 1:
        raise ValueError(f"top {top!r}: must be a whole number above 0")
    return request["text"], top
