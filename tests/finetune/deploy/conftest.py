"""A server with low limits, and standard input."""

import io
from collections.abc import Iterator

import pytest

from finetune.deploy.serve import ModelServer
from tests.finetune.deploy.servers import LIMITS, running


@pytest.fixture(scope="module")
def server(mysql_model) -> Iterator[ModelServer]:
    with running(mysql_model, LIMITS) as server:
        yield server


@pytest.fixture(scope="module")
def address(server) -> str:
    return server.address


@pytest.fixture
def standard_input(monkeypatch):
    """Puts bytes, or a stream of them, on standard input."""

    def put(content: bytes | io.BytesIO) -> None:
        stream = content if isinstance(content, io.BytesIO) else io.BytesIO(content)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stream))

    return put
