"""The text of HTML: nothing lost, nothing made up, the same whether bodies are parsed together or alone."""

import html
import random
import re

import pyarrow.parquet as pq
import pytest

import corpora.cleaning.markup
from corpora.cleaning.cleaning import Code, html_to_text, html_to_texts
from corpora.cleaning.markup import is_well_formed
from corpora.sources.dump import dump_lines
from corpora.sources.dump_row import RowError, parse_row
from tests.paths import SHARED

DUMPS, BODIES = SHARED / "so" / "dumps", SHARED / "so" / "questions.parquet"
CODES: tuple[Code, ...] = ("keep", "mark", "drop")
_LETTERS, _NUMBER = re.compile(r"[^\W\d_]"), re.compile(r"^[0-9]+\.", re.MULTILINE)
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


def made_up_bodies(seed: str) -> list[str]:
    chosen = random.Random(seed)
    return ["".join(made_up(chosen) for _ in range(chosen.randrange(1, 4))) for _ in range(TEXTS)]


def reduced(body: str, code: Code) -> str:
    """The text of a body that is reduced to layout tags, whatever it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora.cleaning.markup, "is_well_formed", lambda body: False)
        return html_to_text(body, code)


@pytest.mark.parametrize("code", ["keep", "mark", "drop"])
def test_a_text_does_not_depend_on_the_bodies_beside_it(code: Code) -> None:
    bodies = made_up_bodies(code)
    together = [text for n in range(0, TEXTS, 50) for text in html_to_texts(bodies[n : n + 50], code)]
    assert together == [html_to_text(body, code) for body in bodies]


@pytest.mark.parametrize("code", ["keep", "mark", "drop"])
def test_well_formed_html_gives_the_same_words_reduced_or_not(code: Code) -> None:
    bodies = [body for body in made_up_bodies(code) if is_well_formed(body)]
    print(f"{code}: {len(bodies):,} of {TEXTS:,} made-up bodies are well-formed")
    assert len(bodies) > TEXTS / 20
    for body in bodies:
        assert html_to_text(body, code).split() == reduced(body, code).split(), repr(body)


@pytest.mark.skipif(not DUMPS.is_dir(), reason="needs ../shared/so/dumps")
def test_real_bodies_give_the_same_text_reduced_or_not_and_nearly_all_are_well_formed() -> None:
    bodies = []
    for path in sorted(DUMPS.glob("*.xml")):
        for _, line in dump_lines(path):
            try:
                bodies.append(parse_row(line).get("Body", ""))
            except RowError:
                continue
    whole = [body for body in bodies if is_well_formed(body)]
    for code in CODES:
        assert html_to_texts(whole, code) == [reduced(body, code) for body in whole]
    print(f"{len(whole):,} of {len(bodies):,} real bodies are well-formed")
    assert len(whole) > 0.95 * len(bodies)


@pytest.mark.parametrize(
    "body",
    [
        "<p>a<p>b",
        "<ul>a</ul></p>",
        "<td>x",
        "<p>a",
        "a < b",
        "<p><em>a</p></em>",
        "<P>a</P>",
        "<p><a title=x>y</a></p>",
    ],
)
def test_what_is_not_well_formed_is_parsed_alone(body: str) -> None:
    assert not is_well_formed(body)


@pytest.mark.parametrize(
    "open_end",
    ['<a href="x', "<!--", "<script>", "<pre>", "<ul><li>", "<table>", "<b>", '<a b"="></a>', "&lt", "&#4;", "\x04"],
)
def test_what_a_body_leaves_open_ends_with_it(open_end: str) -> None:
    first, second = html_to_texts([f"<p>one</p>{open_end}", '<p>two  "x"</p>\n<p>three</p>'])
    assert first.startswith("one") and "two" not in first
    assert second == 'two "x"\n\nthree'


@pytest.mark.skipif(not BODIES.exists(), reason="needs ../shared/so/questions.parquet")
def test_no_word_of_real_questions_is_lost_or_made_up() -> None:
    bodies = [body for body in pq.read_table(BODIES)["body"].to_pylist() if body and is_well_formed(body)][:3_000]
    for body, text in zip(bodies, html_to_texts(bodies), strict=True):
        words = html.unescape(re.sub("<[^>]*>", "", body)).split()
        assert "".join(_LETTERS.findall("".join(words))) == "".join(_LETTERS.findall(_NUMBER.sub("", text))), body


def test_code_is_kept_marked_or_dropped() -> None:
    body = "<p>Call <code>f()</code>:</p><pre><code>a = ```1```\n\n  b\n</code></pre><p>Done.</p>"
    assert html_to_text(body) == "Call f():\n\na = ```1```\n\n  b\n\nDone."
    assert html_to_text(body, "mark") == "Call `f()`:\n\n````\na = ```1```\n\n  b\n````\n\nDone."
    assert html_to_text(body, "drop") == "Call f():\n\nDone."
    assert html_to_text("<p>a</p><pre><code>\n</code></pre><p>b</p>", "mark") == "a\n\nb"


def test_a_body_of_two_hundred_thousand_tags_is_read() -> None:
    assert html_to_text("<p>a</p>\n" * 100_000).count("a") == 100_000
