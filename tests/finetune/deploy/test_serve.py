"""The web server of a classifier, over a real socket."""

import http.client
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest

from finetune.deploy.bundle import load_bundle
from finetune.deploy.serve import EXAMPLE, MAX_BODY, make_server
from stackbert.core.errors import StackbertError
from tests.pages import HOSTILE, Structure, browser_page


@pytest.fixture(scope="module")
def address(mysql_model) -> Iterator[str]:
    with make_server(load_bundle(mysql_model), "model", "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def ask(address: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and content of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address + path, data=body), timeout=20) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def form(text: str) -> bytes:
    return urllib.parse.urlencode({"text": text}, errors="replace").encode()


def test_json_endpoint_predicts(address):
    status, headers, content = ask(address, "/predict", json.dumps({"text": "sort in mysql", "top": 2}).encode())
    assert (status, headers["Content-Type"]) == (200, "application/json")
    answer = json.loads(content)
    assert [label["name"] for label in answer["labels"]] == ["mysql", "numpy"]
    assert [label["chosen"] for label in answer["labels"]] == [True, False]
    assert answer["labels"][0]["score"] == pytest.approx(0.6225, abs=1e-4)
    assert answer["tokens"][0] == "[CLS]" and answer["tokens"][-1] == "[SEP]"
    assert answer["tokens_read"] == len(answer["tokens"]) <= answer["max_length"] == 12


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Expecting value"),
        (b"\xff", "invalid"),
        (b"[]", 'send {"text"'),
        (b"[" * 200_000, "recursion"),
        (b'{"text": 1}', 'send {"text"'),
        (b'{"text": "a", "top": 0}', "top 0: must be a whole number above 0"),
        (b'{"text": "a", "top": "x"}', "top 'x': must be"),
    ],
)
def test_invalid_requests_get_an_error_message(address, body, message):
    status, _, content = ask(address, "/predict", body)
    assert status == 400
    assert message in json.loads(content)["error"]


def test_bodies_too_large_or_without_a_length_are_refused_unread(address):
    for length in (str(MAX_BODY + 1), "-1", "x"):
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Length", length)
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == 400
        assert "1,000,000 bytes at most" in json.loads(answer.read())["error"]
        connection.close()


def test_other_paths_are_not_found(address):
    for body in (None, b""):
        status, _, content = ask(address, "/etc/passwd", body)
        assert status == 404
        assert "POST /predict" in json.loads(content)["error"]


def test_page_shows_labels_and_tokens_of_what_is_typed(address):
    status, headers, content = ask(address, "/")
    page = Structure(content.decode())
    assert status == 200 and EXAMPLE in page.text and "mysql" in page.text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    _, _, content = ask(address, "/", form("numpy rows"))
    page = Structure(content.decode())
    assert EXAMPLE not in page.text and "0.622" in page.text and "[SEP]" in page.text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(address, text):
    found = Structure(ask(address, "/", form(text))[2].decode())
    known = Structure(ask(address, "/", form("harmless"))[2].decode())
    assert {tag for tag, _ in found.elements} == {tag for tag, _ in known.elements}
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]


def test_port_in_use_is_an_error(address):
    with pytest.raises(StackbertError, match="Address already in use; choose another --port"):
        make_server(None, "model", "127.0.0.1", int(address.rpartition(":")[2]))


@pytest.mark.browser
def test_typing_changes_labels_and_tokens_without_an_error(address):
    """In a real browser: the words typed are read and labelled as one types, and the console stays empty."""
    with browser_page(400) as (page, said):
        page.goto(address)
        page.fill("#text", "numpy rows and mysql")
        page.locator("#tokens .chip", has_text="numpy").wait_for()
        assert "How" not in page.inner_text("#tokens")
        assert page.inner_text("#labels li.chosen").startswith("mysql")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert said == []
