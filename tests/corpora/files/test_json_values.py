"""JSON values are read from a stream of which only a part is in memory."""

import io
import json
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

from corpora.files import json_values
from corpora.files.json_values import JsonStream, LongValueError
from stackbert.core.errors import StackbertError

VALUES = [{"id": 1, "title": 'a "b" \\ [c]'}, {"id": 2.5, "tags": ["é", None, True]}, {}, [1, [2]], "text", 12345]


def stream(text: str) -> JsonStream:
    return JsonStream(io.StringIO(text), Path("a.json"))


@pytest.fixture(params=[1, 7, 1 << 20], autouse=True)
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read so many characters at a time: borders of blocks then fall everywhere."""
    monkeypatch.setattr(json_values, "BLOCK_CHARACTERS", request.param)


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_elements_of_a_list(indent: int | None) -> None:
    assert [value for _, value in stream(json.dumps(VALUES, indent=indent)).values()] == VALUES
    assert list(stream(" [ ] ").values()) == []


@pytest.mark.parametrize("between", ["\n", " ", "\r\n\r\n"])
def test_values_one_after_another(between: str) -> None:
    assert [value for _, value in stream(between.join(map(json.dumps, VALUES))).values()] == VALUES


def test_each_value_has_the_line_on_which_it_begins() -> None:
    assert [line for line, _ in stream('[\n{"a":\n1},\n\n{"a":2}, {"a":3}]\n').values()] == [2, 5, 5]


def test_the_list_in_an_object() -> None:
    text = json.dumps({"total": 2, "none": [], "names": ["a", {}], "issues": VALUES[:2], "more": {"x": [{}]}}, indent=1)
    for name in ("issues", None):
        assert [value for _, value in stream(text).list_in_object(name)] == VALUES[:2]
    two = stream('{"a": [{"x": 1}], "b": [{"x": 2}]}')
    with pytest.raises(StackbertError, match=r"two lists of objects, 'a' and 'b'; write the rows: jq -c '.b\[\]'"):
        list(two.list_in_object(None))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1}, {"a":', "line 1: is not JSON"),
        ('[{"a": 1},\n{"a": 2}\n{"a": 3}]', "line 3: is not JSON: ',' or ']' is missing"),
        ('[{"a": 1},]', "line 1: is not JSON: Expecting value"),
        ('[{"a": 1}]\n[', "line 2: is not JSON: text after the list"),
        ('[{"a": "b}]', "Unterminated string"),
        ("[" * 100_000, "is not JSON"),
        ("\n\n[tru]", "line 3: is not JSON"),
    ],
)
def test_what_is_not_json_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(StackbertError, match=message):
        list(stream(text).values())


def test_a_value_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "MAX_VALUE", 1_000)
    with pytest.raises(LongValueError, match="a value is longer than 1,000 characters"):
        list(stream(json.dumps(["a" * 3_000_000])).values())


def test_memory_stays_at_some_blocks() -> None:
    many = stream(json.dumps([{"title": "x" * 90}] * 2_000))
    for _ in islice(many.values(), 1_500):
        assert len(many._text) <= 2 * max(json_values.BLOCK_CHARACTERS, 110) or json_values.BLOCK_CHARACTERS > 1_000


def test_the_reading_of_a_list_in_an_object_can_be_deferred() -> None:
    read = partial(JsonStream.list_in_object, name="a")
    assert list(read(stream('{"a": [{}]}'))) == [(1, {})]
