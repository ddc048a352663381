"""The pages and JSON endpoints of a classifier's server."""

import asyncio
import json
import secrets
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from finetune.deploy.batcher import TooManyWaitingError
from finetune.deploy.config import ServeConfig
from finetune.deploy.labelling import Labelling, Reading
from finetune.deploy.openapi import EXAMPLE_TEXT, openapi_document
from finetune.deploy.predict_request import RequestError, check_text, parse_predict_request
from finetune.deploy.whole_bodies import WholeBodies
from stackbert.core.page import page_environment
from tokenizer.report.view import SPECIALS, UNKNOWN, words_of

SHOWN_LABELS = 8
BODY_SECONDS = 30  # that a body may take to arrive
RETRY_SECONDS = "1"
BASE_POLICY = "default-src 'none'; form-action 'self'; frame-ancestors 'none'"
PATHS = "GET / and POST / (a page), POST /predict, GET /health, GET /ready, GET /docs and GET /openapi.json"


def web_application(labelling: Labelling, name: str, config: ServeConfig) -> WholeBodies:
    """The ASGI application of a classifier; `name` is shown on its pages."""
    site = _Site(labelling, name, config)
    application = Starlette(
        routes=[
            Route("/", site.page, methods=["GET", "POST"]),
            Route("/predict", site.predict, methods=["POST"]),
            Route("/health", site.health, methods=["GET"]),
            Route("/ready", site.ready, methods=["GET"]),
            Route("/docs", site.docs, methods=["GET"]),
            Route("/openapi.json", site.openapi, methods=["GET"]),
        ],
        exception_handlers={
            RequestError: _refused,
            HTTPException: _not_routed,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )
    application.router.redirect_slashes = False
    stopping = _json({"error": "the server is stopping"}, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "10"})
    return WholeBodies(application, stopping)


class _Site:
    def __init__(self, labelling: Labelling, name: str, config: ServeConfig) -> None:
        self._labelling, self._name, self._config = labelling, name, config
        self._document = openapi_document(name, config)
        environment = page_environment(Path(__file__).parent)
        environment.filters["words_of"] = words_of
        self._page_template = environment.get_template("serve.html.j2")
        self._docs_template = environment.get_template("serve_docs.html.j2")

    async def predict(self, request: Request) -> Response:
        asked = parse_predict_request(await self._body(request), self._config)
        found = [self._prediction(reading, asked.top) for reading in await self._readings(asked.texts)]
        return _json({"predictions": found} if asked.is_list else found[0])

    async def page(self, request: Request) -> Response:
        text = EXAMPLE_TEXT
        if request.method == "POST":
            text = parse_qs((await self._body(request)).decode(errors="replace")).get("text", [""])[0]
            check_text(text, "text", self._config)
        [reading] = await self._readings([text])
        nonce = secrets.token_urlsafe(16)
        page = self._page_template.render(
            name=self._name,
            text=text,
            answer=self._prediction(reading, SHOWN_LABELS),
            nonce=nonce,
            colours=(),
            specials=sorted(SPECIALS),
            unknown=sorted(UNKNOWN),
        )
        return _html(page, f"style-src 'unsafe-inline'; img-src data:; script-src 'nonce-{nonce}'; connect-src 'self'")

    async def docs(self, request: Request) -> Response:
        example = json.dumps({"text": EXAMPLE_TEXT, "top": 2})
        page = self._docs_template.render(
            name=self._name,
            document=self._document,
            address=f"http://{request.headers.get('host', 'localhost')}/",
            example=example,
            limits=self._config,
            colours=(),
        )
        return _html(page, "style-src 'unsafe-inline'; img-src data:")

    async def openapi(self, request: Request) -> Response:
        return _json(self._document)

    async def health(self, request: Request) -> Response:
        return _json({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        if not self._labelling.is_ready:
            raise _loading()
        return _json({"status": "ready"})

    async def _readings(self, texts: list[str]) -> list[Reading]:
        batcher = self._labelling.batcher
        if batcher is None:
            raise _loading()
        try:
            return await batcher.answers(texts)
        except TooManyWaitingError:
            message = f"more than {self._config.max_waiting:,} texts would be waiting; try again later"
            raise _unavailable(message) from None

    async def _body(self, request: Request) -> bytes:
        """The request's body; raises RequestError if it is too large or too slow."""
        limit = self._config.max_body_bytes
        too_large = RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is too large; send {limit:,} bytes at most"
        )
        if int(request.headers.get("content-length", "0")) > limit:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for piece in request.stream():
                    body += piece
                    if len(body) > limit:
                        raise too_large
        except TimeoutError:
            message = f"the body did not arrive within {BODY_SECONDS} seconds"
            raise RequestError(HTTPStatus.REQUEST_TIMEOUT, message) from None
        return bytes(body)

    def _prediction(self, reading: Reading, top: int) -> dict[str, Any]:
        return {
            "labels": [label._asdict() for label in reading.labels[:top]],
            "tokens": reading.tokens,
            "tokens_read": len(reading.tokens),
            "max_length": self._labelling.max_length,
        }


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return _json({"error": error.message}, error.status, error.headers)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"not found; there are {PATHS}"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "")
        message = f"{request.method} is not allowed here, but {allowed}; there are {PATHS}"
    return _json({"error": message}, HTTPStatus(error.status_code), dict(error.headers or {}))


async def _gone(request: Request, error: Exception) -> Response:
    """The client closed the connection before its request was whole; nobody reads this answer."""
    return _json({"error": "the request is not complete"}, HTTPStatus.BAD_REQUEST)


async def _failed(request: Request, error: Exception) -> Response:
    """A fault of the server, which the log shows with its traceback."""
    return _json({"error": "the server failed; its log says why"}, HTTPStatus.INTERNAL_SERVER_ERROR)


def _loading() -> RequestError:
    return _unavailable("the classifier is being loaded; try again later")


def _unavailable(message: str) -> RequestError:
    return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, message, {"Retry-After": RETRY_SECONDS})


def _json(value: dict[str, Any], status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    return _response(json.dumps(value), "application/json", BASE_POLICY, status, headers or {})


def _html(page: str, allowed: str) -> Response:
    return _response(page, "text/html", f"{BASE_POLICY}; {allowed}", HTTPStatus.OK, {})


def _response(content: str, kind: str, policy: str, status: HTTPStatus, headers: dict[str, str]) -> Response:
    safety = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return Response(content.encode(errors="replace"), int(status), {**safety, **headers}, kind)
