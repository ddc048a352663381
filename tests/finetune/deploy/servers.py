"""Servers of classifiers in a thread of the tests, and requests to them."""

import asyncio
import http.client
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finetune.deploy.config import ServeConfig
from finetune.deploy.serve import ModelServer, listen

LIMITS = ServeConfig(max_characters=2_000, max_texts=5, max_body_bytes=50_000)


@contextmanager
def running(model: Path, config: ServeConfig, until_ready: bool = True) -> Iterator[ModelServer]:
    """A server on a free port; stopped at the end, which waits for requests in flight."""
    with listen("127.0.0.1", 0) as listener:
        server = ModelServer(model, config, listener)
        thread = threading.Thread(target=lambda: asyncio.run(server.run()))
        thread.start()
        try:
            while until_ready and not server.labelling.is_ready and thread.is_alive():
                time.sleep(0.01)
            yield server
        finally:
            server.stop()
            thread.join()


def ask(address: str, path: str, body: bytes | None = None, method: str | None = None) -> tuple[int, dict, bytes]:
    """Status, headers and content of an answer."""
    request = urllib.request.Request(address.rstrip("/") + path, data=body, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def connection_to(address: str) -> http.client.HTTPConnection:
    where = urllib.parse.urlsplit(address)
    return http.client.HTTPConnection(where.hostname, where.port, timeout=20)
