"""HTML is told from Markdown and plain text by what a body mostly is."""

import json
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from corpora.cleaning.body_format import looks_like_html
from corpora.cleaning.cleaning import clean_body
from tests.paths import SHARED

FIELD, QUESTIONS = SHARED / "field" / "markdown_with_some_html", SHARED / "so" / "questions.parquet"

HTML = {
    "Stack Exchange": "<p>Why?</p>\n\n<pre><code>a = 1\n\nb = 2\n</code></pre>\n\n<p>How?</p>\n",
    "one paragraph": "<p>Why?</p>",
    "a heading": "<h2>Syntax</h2>",
    "code at its end": "I tried\n<pre><code>x</code></pre>",
    "quotes Markdown": "<p>How?</p>\n<pre><code># Title\n\n- one\n\n- two\n\n```\nx\n```\n</code></pre>",
    "mail": "<html>\n<head></head>\n<body>\nDear all,\n\nsee below.\n\nRegards</body></html>",
    "mail without a head": '<div dir="ltr">Dear all,<div><br></div><div>see below</div></div>\n',
    "page": "<!DOCTYPE html>\n<html><body>\n\n    <p>x</p>\n\n    <p>y</p>\n</body></html>",
    "Windows line ends": "<p>Why?</p>\r\n\r\n<p>How?</p>\r\n",
    "line breaks": "<br>\nFirst line<br>\nsecond line<br>\n\nthird line<br />",
    "upper case": "<P>Why?</P>\n\n<P>How?</P>",
}
OTHER = {
    "about HTML": "What is the use of <p> and </div> in HTML?",
    "generics": "if (a < b && c > d) vector<int> x;",
    "centred logo": '<p align="center"><img src="logo.png"></p>\n\n# Title\n\nText of it.\n\n- one\n- two\n',
    "short issue": '<p align="center"><img src="shot.png"></p>\n\n### What happens\n',
    "badges": '[![ci](a.svg)](b)\n<p><a href="x"><img src="y"></a></p>\n\n## Use\n\n```sh\nmake\n```\n',
    "details": "### Log\n\n<details><summary>long</summary>\n<p>\n\n```\nx\n```\n\n</p>\n</details>\n\nIt fails.\n",
    "table": "Results:\n\n<table>\n<tr><td><p>a</p></td></tr>\n</table>\n\n- faster\n\nThanks!\n",
    "fenced HTML": "### Steps\n\n```html\n<div>\n  <p>Hello</p>\n</div>\n```\n\n1. open\n2. click\n",
    "tildes": "Why?\n\n~~~~\n<p>a</p>\n~~~\n<p>b</p>\n~~~~\n",
    "indented HTML": "How do I centre this?\n\n    <div>\n    <p>Hello</p>\n    </div>\n\nThanks",
    "HTML without fences": "Why is this red?\n\n<p class=x>\nHello</p>\n\nIt should be blue.",
    "quoted HTML": "> <p>Hello</p>\n\nThat is wrong.",
    "inline code": "`<p>Hello</p>`\nis wrong </p>\n\nbecause",
    "Windows line ends": "<p>a</p>\r\n\r\n# Title\r\n\r\n- one\r\n- two\r\n",
    "markdown comment": "<!-- Describe the bug -->\n\n**Bug**\n\nIt fails, see <br>\n<p></p>\n\n- [ ] checked\n",
}


@pytest.mark.parametrize("name", HTML)
def test_html(name: str) -> None:
    assert looks_like_html(HTML[name])


@pytest.mark.parametrize("name", OTHER)
def test_markdown_and_plain_text(name: str) -> None:
    assert not looks_like_html(OTHER[name])
    lines = [line.split() for line in OTHER[name].splitlines() if line.strip()]
    assert [line.split() for line in clean_body(OTHER[name], "auto").splitlines() if line.strip()] == lines


@pytest.mark.parametrize("length", range(40))
def test_the_share_of_paragraphs_decides(length: int) -> None:
    paragraphs = ["<p>tagged</p>"] * length + ["plain"] * (20 - length // 2)
    assert looks_like_html("\n\n".join(paragraphs)) is (length >= 20 - length // 2 and length > 0)


def bodies() -> Iterator[str]:
    for name in ("issues.jsonl", "html_in_code.jsonl"):
        for line in (FIELD / name).read_text("utf-8").splitlines():
            yield json.loads(line)["body"]


@pytest.mark.skipif(not FIELD.is_dir(), reason="needs ../shared/field")
def test_real_issues_in_markdown_keep_their_lines() -> None:
    for body in bodies():
        assert not looks_like_html(body)
        assert len(clean_body(body, "auto").splitlines()) == len(body.strip().splitlines())


@pytest.mark.skipif(not QUESTIONS.exists(), reason="needs ../shared/so/questions.parquet")
def test_real_questions_in_html_stay_html() -> None:
    table = pq.read_table(QUESTIONS, columns=["body"])["body"].to_pylist()
    html = [body for body in table if body and body.startswith("<p>") and body.rstrip().endswith(("</p>", "</pre>"))]
    assert len(html) > 1_000
    assert sum(map(looks_like_html, html)) == len(html)
