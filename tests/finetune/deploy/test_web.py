"""Pages and JSON endpoints of a classifier's server, over a real socket."""

import json
import urllib.parse

import pytest

from finetune.deploy.openapi import EXAMPLE_TEXT
from tests.finetune.deploy.servers import ask, connection_to
from tests.pages import HOSTILE, Structure, browser_page


def form(text: str) -> bytes:
    return urllib.parse.urlencode({"text": text}, errors="replace").encode()


def test_json_endpoint_predicts(address):
    status, headers, content = ask(address, "/predict", json.dumps({"text": "sort in mysql", "top": 2}).encode())
    assert (status, headers["content-type"]) == (200, "application/json")
    answer = json.loads(content)
    assert [label["name"] for label in answer["labels"]] == ["mysql", "numpy"]
    assert [label["chosen"] for label in answer["labels"]] == [True, False]
    assert answer["labels"][0]["score"] == pytest.approx(0.6225, abs=1e-4)
    assert answer["tokens"][0] == "[CLS]" and answer["tokens"][-1] == "[SEP]"
    assert answer["tokens_read"] == len(answer["tokens"]) <= answer["max_length"] == 12


def test_a_list_of_texts_is_answered_in_its_order(address):
    texts = ["print rows", "mysql", "connect from node.js", ""]
    status, _, content = ask(address, "/predict", json.dumps({"texts": texts, "top": 1}).encode())
    alone = [json.loads(ask(address, "/predict", json.dumps({"text": text}).encode())[2]) for text in texts]
    found = json.loads(content)["predictions"]
    assert status == 200
    assert [each["tokens"] for each in found] == [each["tokens"] for each in alone]
    assert [len(each["labels"]) for each in found] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON: Expecting value"),
        (b"\xff", "not UTF-8: invalid start byte 0xff at byte 0"),
        ('{"text": "ä"}'.encode("latin-1"), "not UTF-8"),
        ('{"text": "a"}'.encode("utf-16"), "not UTF-8"),
        (b"[]", 'send {"text"'),
        (b"null", 'send {"text"'),
        (b"{}", 'send {"text"'),
        (b'{"top": 3}', 'send {"text"'),
        (b'{"text": "a"', "not JSON"),
        (b'{"text": "a"} x', "not JSON: Extra data"),
        (b"[" * 40_000, "recursion"),
        (b'{"text": 1}', 'text must be a string, not 1; send {"text"'),
        (b'{"text": null}', "text must be a string, not None"),
        (b'{"text": ["a"]}', "text must be a string, not a list"),
        (b'{"texts": "a"}', "texts must be a list of strings, not 'a'"),
        (b'{"texts": []}', "texts: 0, but a request may have 1 to 5"),
        (b'{"texts": ["a", "a", "a", "a", "a", "a"]}', "texts: 6, but a request may have 1 to 5"),
        (b'{"texts": ["a", {}]}', "texts[1] must be a string, not an object"),
        (b'{"text": "a", "texts": ["a"]}', "text and texts: give one of them"),
        (b'{"txt": "a"}', "unknown field 'txt'; nearest is 'text'"),
        (b'{"text": "a", "topk": 2}', "unknown field 'topk'; nearest is 'top'"),
        (b'{"text": "\\ud83d"}', "text: half of a surrogate pair at character 0"),
        (b'{"text": "' + b"a" * 2_001 + b'"}', "2,001 characters, but a text may have 2,000 at most"),
        (b'{"text": "a", "top": 0}', "top 0: must be a whole number above 0"),
        (b'{"text": "a", "top": -1}', "top -1: must be"),
        (b'{"text": "a", "top": 1.5}', "top 1.5: must be"),
        (b'{"text": "a", "top": true}', "top True: must be"),
        (b'{"text": "a", "top": "x"}', "top 'x': must be"),
        (b'{"text": "a", "top": ' + b"9" * 5_000 + b"}", "not JSON"),
    ],
)
def test_invalid_requests_get_an_error_message(address, body, message):
    status, headers, content = ask(address, "/predict", body)
    assert (status, headers["content-type"]) == (400, "application/json")
    assert message in json.loads(content)["error"]


@pytest.mark.parametrize("text", ["\0", "\x1b[31m", "漢字 🙂", "\ufeff", "a" * 2_000, " ", "\u2028\r\n", "\U0010ffff"])
def test_any_unicode_text_is_labelled(address, text):
    for encoded in (json.dumps({"text": text}), json.dumps({"text": text}, ensure_ascii=False)):
        status, _, content = ask(address, "/predict", encoded.encode())
        assert status == 200 and json.loads(content)["labels"][0]["name"] == "mysql"


@pytest.mark.parametrize("size", [50_001, 1_000_001, 20_000_000])
@pytest.mark.parametrize("path", ["/predict", "/", "/nothing"])
def test_an_oversized_body_is_answered_in_full_to_a_client_that_sends_all_of_it_first(address, size, path):
    status, _, content = ask(address, path, b"x" * size)
    expected = (404, "not found") if path == "/nothing" else (413, "send 50,000 bytes at most")
    assert (status, expected[1] in json.loads(content)["error"]) == (expected[0], True)


def test_an_oversized_body_is_refused_before_it_is_sent(address):
    connection = connection_to(address)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Length", "50001")
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert "50,000 bytes at most" in json.loads(answer.read())["error"]
    connection.close()


def test_a_body_in_chunks_without_a_length_is_read_up_to_the_limit(address):
    for count, status in ((2, 200), (60, 413)):
        connection = connection_to(address)
        pieces = iter([b'{"text": "', *[b"a" * 900] * count, b'"}'])
        connection.request("POST", "/predict", body=pieces, encode_chunked=True)
        assert connection.getresponse().status == status
        connection.close()


def test_other_paths_are_not_found(address):
    for path in ("/etc/passwd", "/predict/", "//", "/%00", "/../x", "/docs/x"):
        for body in (None, b""):
            status, headers, content = ask(address, path, body)
            assert (status, headers["content-type"]) == (404, "application/json"), path
            assert "POST /predict" in json.loads(content)["error"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/predict", "POST"), ("PUT", "/predict", "POST"), ("DELETE", "/", "GET"), ("POST", "/health", "GET")],
)
def test_other_methods_are_not_allowed(address, method, path, allowed):
    status, headers, content = ask(address, path, b"{}" if method != "GET" else None, method)
    assert status == 405 and allowed in headers["allow"]
    assert f"{method} is not allowed here, but " in json.loads(content)["error"]


def test_health_and_readiness(address):
    assert ask(address, "/health")[::2] == (200, b'{"status": "ok"}')
    assert ask(address, "/ready")[::2] == (200, b'{"status": "ready"}')


def test_endpoints_are_described(address):
    _, headers, content = ask(address, "/openapi.json")
    document = json.loads(content)
    assert headers["content-type"] == "application/json"
    assert document["openapi"].startswith("3.1") and document["paths"].keys() == {"/predict", "/health", "/ready"}
    request = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert request["properties"]["texts"]["maxItems"] == 5
    for name in set(json.dumps(document).split('"#/components/schemas/')[1:]):
        assert name.split('"')[0] in document["components"]["schemas"]
    status, headers, content = ask(address, "/docs")
    page = Structure(content.decode())
    assert status == 200 and "script-src" not in headers["content-security-policy"]
    assert all(path in page.text for path in (*document["paths"], *document["components"]["schemas"]))
    assert not [value for _, name, value in page.attributes if name in ("src", "href") and ":" in value[:8] != "data:,"]


def test_page_shows_labels_and_tokens_of_what_is_typed(address):
    status, headers, content = ask(address, "/")
    page = Structure(content.decode())
    assert status == 200 and EXAMPLE_TEXT in page.text and "mysql" in page.text
    assert "default-src 'none'" in headers["content-security-policy"]
    _, _, content = ask(address, "/", form("numpy rows"))
    page = Structure(content.decode())
    assert EXAMPLE_TEXT not in page.text and "0.622" in page.text and "[SEP]" in page.text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(address, text):
    found = Structure(ask(address, "/", form(text))[2].decode())
    known = Structure(ask(address, "/", form("harmless"))[2].decode())
    assert {tag for tag, _ in found.elements} == {tag for tag, _ in known.elements}
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]


@pytest.mark.parametrize("host", ["<script>alert(1)</script>", "[", "", "a b", "\xff"])
def test_a_hostile_host_is_shown_as_text(address, host):
    connection = connection_to(address)
    connection.putrequest("GET", "/docs", skip_host=True)
    connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status in (200, 400)
    assert "script" not in {tag for tag, _ in Structure(answer.read().decode()).elements}
    connection.close()


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


@pytest.mark.browser
def test_description_fits_a_phone(address):
    with browser_page(400) as (page, said):
        page.goto(address + "docs")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert said == []
