"""Cleaning of HTML and plain text, ordinary and hostile."""

import time

import pytest

from corpora.cleaning.body_format import looks_like_html
from corpora.cleaning.cleaning import clean_body, clean_text, clean_title, html_to_text
from corpora.cleaning.markup import AS_DIV, BLOCKS


def test_paragraphs_lists_links_and_inline_code_become_lines() -> None:
    body = '<p>See <a href="http://x.y">the\n docs</a> of <code>map()</code>.</p>\n<ul><li>one</li><li><p>two</p></ul>'
    assert html_to_text(body) == "See the docs of map().\n\n- one\n\n- two"


def test_code_blocks_keep_line_breaks_and_indentation() -> None:
    body = "<p>Try:</p>\n\n<pre><code>for x in y:\n    if a &lt; b:\n\treturn\n</code></pre>\n\n<p>Why?</p>"
    assert html_to_text(body) == "Try:\n\nfor x in y:\n    if a < b:\n\treturn\n\nWhy?"


def test_script_style_and_comments_leave_nothing() -> None:
    body = "<p>a</p><script>evil('<p>')</script><STYLE>p{}</STYLE ><!-- <p>no</p> --><p>b</p>"
    assert html_to_text(body) == "a\n\nb"


def test_unescaped_type_parameters_and_headers_stay() -> None:
    assert html_to_text("<p>vector<int> and <stdio.h>, a<b</p>") == "vector<int> and <stdio.h>, a<b"


def test_text_after_a_block_or_first_in_a_row_is_not_indented() -> None:
    body = "<pre>  x</pre> then <ul><li>\n<pre>y</pre></li></ul> z<table><tr><td>a</td> <td>b</td></tr></table> end"
    assert html_to_text(body) == "  x\n\nthen\n\ny\n\nz\na b\nend"


def test_code_inside_elements_of_a_code_block_keeps_its_indentation() -> None:
    assert html_to_text("<pre>a\n<p>  b\n    c</p></pre>") == "a\n\n  b\n    c"


def test_lists_keep_their_numbers_and_the_indentation_of_code_in_them() -> None:
    body = (
        "<ol><li>one</li><li><p>two</p>\n<pre><code>if x:\n    y()</code></pre></li><li>three<ul><li>in</ul></ol><p>end"
    )
    assert html_to_text(body) == "1. one\n\n2. two\n\nif x:\n    y()\n\n3. three\n- in\n\nend"


def test_no_block_is_lost_or_joined_to_the_next() -> None:
    for name in sorted((BLOCKS | AS_DIV | {"center"}) - {"aside", "tr", "td", "th", "caption"}):
        text = html_to_text(f"<{name}>one</{name}><{name}>two</{name}>three")
        assert text.replace("- ", "").split() == ["one", "two", "three"], name
    table = "<table><caption>c</caption><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"
    assert html_to_text(table) == "c\na b\n1 2"


def test_notices_leave_nothing() -> None:
    assert html_to_text("<aside><p>This question has answers:</p><ul><li>x</ul></aside><p>a</p>") == "a"


def test_nesting_beyond_the_limit_keeps_text_and_code() -> None:
    body = "<div>" * 100_000 + "<p>a &lt; b</p><pre>if x:\n    y()</pre><script>z</script>"
    assert html_to_text(body) == "a < b\n\nif x:\n    y()"


def test_escaped_markup_is_text_once_and_not_parsed_again() -> None:
    assert html_to_text("<p>&lt;script&gt;x&lt;/script&gt; &amp;lt;</p>") == "<script>x</script> &lt;"


def test_text_about_html_keeps_its_tags() -> None:
    assert clean_body("How do I close <div> before <p>?", "auto") == "How do I close <div> before <p>?"


def test_control_characters_surrogates_and_space_are_normalised() -> None:
    text = "a\x00b\u200b\ufeff  c \r\n\r\n\r\n\r\n    x =  1\t\n\ud800\u2028end\xa0"
    assert clean_text(text) == "ab c\n\n    x = 1\n\ufffd\nend"


def test_title_is_one_line() -> None:
    assert clean_title("  How\n to\t do ") == "How to do"


@pytest.mark.parametrize(
    "body",
    [
        "<div>" * 100_000,
        "<div>" * 50_000 + "<p>x" * 50_000,
        "<ul><li>" * 50_000,
        "<div><table><tr><td></div></td></tr></table>" * 20_000,
        "<div><!--</div>-->" * 50_000,
        "<div></li>" * 50_000,
        "<div>" * 199 + "<p>x</p>" * 50_000,
        "<p>" + "".join(f"<b a={i}>" for i in range(500)) + "</p>" + "<p>x" * 50_000,
        "<div " + " ".join(f"a{i}" for i in range(100_000)) + ">",
        "<aside>" * 100_000,
        "<!--" * 100_000,
        "<script>" * 100_000,
        '<a href="' * 100_000,
        "<" + "a" * 1_000_000,
        "<a " + "x " * 500_000,
        "&#" + "9" * 1_000_000 + ";",
        "&#" * 500_000,
        "<p>" + " " * 1_000_000 + "x",
        "</p>" + "\n" * 500_000 + "x",
        "<pre>" * 200_000 + "</p>",
        "<p>\n" + "```\n" * 200_000 + "</p>",
    ],
    ids=lambda body: f"{body[:8]}..{body[-4:]}".replace("\n", "n"),
)
def test_hostile_html_takes_linear_time(body: str) -> None:
    eighth, whole = seconds(body[: len(body) // 8]), seconds(body)
    assert whole < 40 * max(eighth, 0.05)  # linear time takes 8 times as long, quadratic time 64 times; lexbor 20 s


def seconds(body: str) -> float:
    """CPU time of cleaning a body."""
    start = time.process_time()
    html_to_text(body)
    looks_like_html(body)
    return time.process_time() - start


def test_ten_megabytes_of_pre_are_kept() -> None:
    assert len(html_to_text("<pre>" + "x = 1\n" * 1_700_000)) == 6 * 1_700_000 - 1
