"""The fast path for well-formed HTML gives the same text as lexbor, and leaves other HTML to it."""

import random

import pytest

import corpora.cleaning.markup
from corpora.cleaning.cleaning import Code, html_to_text
from corpora.cleaning.markup import CODE, TEXT, read_well_formed
from corpora.sources.dump import dump_lines
from corpora.sources.dump_row import RowError, parse_row
from tests.paths import SHARED

DUMPS = SHARED / "so" / "dumps"
PIECES = (
    *(
        "<p>",
        "</p>",
        "<pre>",
        "</pre>",
        "<pre><code>",
        "</code></pre>",
        "<ul>",
        "<li>",
        "</li>",
        "</ul>",
        "<ol>",
        "</ol>",
    ),
    *(
        "<code>",
        "</code>",
        "<br>",
        "<br/>",
        "<hr />",
        "<h2>",
        "</h2>",
        "<blockquote>",
        "</blockquote>",
        "<div>",
        "</div>",
    ),
    *(
        '<a href="x?a=1&amp;b=2">',
        "</a>",
        "<em>",
        "</em>",
        "<P>",
        "</P>",
        '<pre class="lang-py">',
        "<img src='a'>",
        "<kbd>",
    ),
    *(
        "<table>",
        "<td>",
        "</table>",
        "<aside>",
        "</aside>",
        "<!-- note -->",
        "<vector<int>>",
        "<",
        ">",
        "< b",
        "<script>",
    ),
    *(
        "word",
        "two words",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\t",
        "\x0c",
        "\x00",
        "\x07",
        "\xa0",
        "\u200b",
        "é",
        "漢",
    ),
    *(
        "&lt;",
        "&gt;",
        "&amp;",
        "&amp;lt;",
        "&quot;",
        "&nbsp;",
        "&hellip;",
        "&#39;",
        "&#x27;",
        "&#10;",
        "&#150;",
        "&foo;",
    ),
    *("&lt", "&", "&ampx", "&notit;", "\ud800", "`", "```", "    indented", "- item", "\ufdd0"),
)
TEXTS = 5_000

# Well-formed pieces, of which most posts consist.
WHOLE = (
    *(
        "<p>{}</p>\n",
        "<p>{}</p>",
        "<pre><code>{}\n</code></pre>\n",
        "<ul>\n<li>{}</li>\n<li>{}</li>\n</ul>\n",
        "<h2>{}</h2>",
    ),
    *(
        "<blockquote>\n<p>{}</p>\n</blockquote>",
        "<li>{}",
        "<em>{}</em>",
        "<code>{}</code>",
        "<br>{}",
        "<hr>\n{}",
        "{}\n{}",
    ),
)


def made_up(chosen: random.Random, depth: int = 0) -> str:
    if depth > 3 or chosen.random() < 0.35:
        return "".join(chosen.choice(PIECES) for _ in range(chosen.randrange(4)))
    template = chosen.choice(WHOLE)
    return template.format(*(made_up(chosen, depth + 1) for _ in range(template.count("{}"))))


def by_lexbor(body: str, code: Code) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora.cleaning.markup, "read_well_formed", lambda body, marked: None)
        return html_to_text(body, code)


@pytest.mark.parametrize("code", ["keep", "mark", "drop"])
def test_made_up_html_gives_the_same_text_both_ways(code: Code) -> None:
    chosen, fast = random.Random(code), 0
    for _ in range(TEXTS):
        body = "".join(made_up(chosen) for _ in range(chosen.randrange(1, 4)))
        assert html_to_text(body, code) == by_lexbor(body, code), repr(body)
        fast += read_well_formed(body, code == "mark") is not None
    print(f"{code}: {TEXTS:,} texts alike, {fast:,} of them on the fast path")
    assert fast > TEXTS / 20


@pytest.mark.skipif(not DUMPS.is_dir(), reason="needs ../shared/so/dumps")
def test_real_bodies_give_the_same_text_both_ways_and_nearly_all_take_the_fast_path() -> None:
    bodies = []
    for path in sorted(DUMPS.glob("*.xml")):
        for _, line in dump_lines(path):
            try:
                bodies.append(parse_row(line).get("Body", ""))
            except RowError:
                continue
    fast = 0
    for body in bodies:
        fast += read_well_formed(body) is not None
        for code in ("keep", "mark", "drop"):
            assert html_to_text(body, code) == by_lexbor(body, code), body
    print(f"{fast:,} of {len(bodies):,} real bodies take the fast path")
    assert fast > 0.97 * len(bodies)


@pytest.mark.parametrize(
    "body", ["<p>a<p>b", "<ul>a</ul></p>", "<td>x", "<p>a", "a < b", "<li>x</li>", "&#10;", "<p><hr></p>"]
)
def test_what_is_not_well_formed_is_left_to_lexbor(body: str) -> None:
    assert read_well_formed(body) is None


def test_events_distinguish_code_from_text() -> None:
    events = read_well_formed("<p>Use <code>x</code>:</p>\n<pre><code>\nif x:\n    y &lt; 1\n</code></pre>")
    assert events is not None
    assert [text for kind, text in events if kind == TEXT] == ["Use x:", "\n\n"]
    assert [text for kind, text in events if kind == CODE] == ["if x:\n    y < 1\n"]


def test_code_is_kept_marked_or_dropped() -> None:
    body = "<p>Call <code>f()</code>:</p><pre><code>a = ```1```\n\n  b</code></pre><p>Done.</p>"
    assert html_to_text(body) == "Call f():\n\na = ```1```\n\n  b\n\nDone."
    assert html_to_text(body, "mark") == "Call `f()`:\n\n````\na = ```1```\n\n  b\n````\n\nDone."
    assert html_to_text(body, "drop") == "Call f():\n\nDone."


def test_a_body_of_two_hundred_thousand_tags_is_read() -> None:
    assert html_to_text("<p>a</p>\n" * 100_000).count("a") == 100_000
