"""Compares readers of HTML on the bodies of a dump or of Parquet: speed, letters and code kept, hostile input.

    python -m tests.corpora.cleaning.peers Posts.xml
    python -m tests.corpora.cleaning.peers ../shared/so/questions.parquet ../shared/so/bodies.parquet

`letters`: bodies whose text has the very letters outside of tags, in their order; an unescaped `vector<int>` has no
tag. `code`: bodies with code blocks whose text has each of them line for line, with indentation. `hostile`: seconds for
3,000 unclosed tables, and for 500 unclosed tags with 20,000 paragraphs. lxml and selectolax take part where they are
installed.
"""

import argparse
import html
import importlib.util
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
from bs4 import BeautifulSoup
from resiliparse.extract.html2text import extract_plain_text

from corpora.cleaning.body_format import looks_like_html
from corpora.cleaning.cleaning import html_to_texts
from corpora.cleaning.markup import AS_DIV, BLOCKS, INLINE, REMOVED, VOID
from corpora.sources.dump import dump_lines
from corpora.sources.dump_row import parse_row

HOSTILE = (
    "<div><table><tr><td></div></td></tr></table>" * 3_000,
    "<p>" + "".join(f"<b a={i}>" for i in range(500)) + "</p>" + "<p>x" * 20_000,
)
TOGETHER = 64  # bodies, as 'corpora build' cleans them
_NAMES = "|".join(sorted(BLOCKS | AS_DIV | INLINE | VOID | REMOVED))
_TAG = re.compile(rf"</?(?:{_NAMES})(?=[\s/>])[^<>]*+>", re.IGNORECASE)
_CLEANED = re.compile(r"\S  |\n\s*\n\s*\n|[\t\x7f-\xa0\u200b]")
_LETTER = re.compile(r"[^\W\d_]")
_CODE = re.compile(r"<pre\b[^<>]*+><code\b[^<>]*+>([^<]*+)</code></pre>")


def ours(bodies: Sequence[str]) -> list[str]:
    """This project's reader."""
    return [
        text for start in range(0, len(bodies), TOGETHER) for text in html_to_texts(bodies[start : start + TOGETHER])
    ]


def one_by_one(read: Callable[[str], str]) -> Callable[[Sequence[str]], list[str]]:
    """A reader of one body as a reader of many."""
    return lambda bodies: [read(body) for body in bodies]


def with_lxml(body: str) -> str:
    """lxml's text of a tree."""
    from lxml import html as lxml_html

    return str(lxml_html.fromstring(f"<div>{body}</div>").text_content())


def with_selectolax(body: str) -> str:
    """selectolax's text of a tree (lexbor)."""
    from selectolax.lexbor import LexborHTMLParser

    return LexborHTMLParser(body).text()


READERS: dict[str, Callable[[Sequence[str]], list[str]]] = {
    "this project": ours,
    "resiliparse": one_by_one(lambda body: str(extract_plain_text(body, preserve_formatting=True, alt_texts=False))),
    "selectolax": one_by_one(with_selectolax),
    "lxml": one_by_one(with_lxml),
    "Beautiful Soup (html.parser)": one_by_one(lambda body: BeautifulSoup(body, "html.parser").get_text()),
}


def bodies_of(paths: Sequence[Path]) -> list[str]:
    """The HTML bodies of dumps and Parquet files."""
    bodies: list[str] = []
    for path in paths:
        if path.suffix == ".parquet":
            found = pq.read_table(path, columns=["body"])["body"].to_pylist()
        else:
            found = [parse_row(line).get("Body") for _, line in dump_lines(path) if line.startswith(b"<row")]
        bodies += [body for body in found if body and looks_like_html(body)]
    return bodies


def has_letters(body: str, text: str) -> bool:
    """Whether the text has the letters outside of the body's tags, in their order."""
    return _LETTER.findall(html.unescape(_TAG.sub("", body))) == _LETTER.findall(text)


def has_code(body: str, text: str) -> bool:
    """Whether the lines of each code block stand in the text one after another, but for white space at their ends."""
    lines = "\n".join(line.rstrip() for line in text.expandtabs().split("\n"))
    return all(_tidied(html.unescape(code)) in lines for code in _CODE.findall(body))


def _tidied(code: str) -> str:
    return "\n".join(line.rstrip() for line in code.expandtabs().strip("\n").split("\n")).rstrip()


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+")
    bodies = bodies_of(parser.parse_args().paths)
    # Without bodies of which some text should go: comments, scripts, notices, double and odd spaces within code.
    plain = [n for n, body in enumerate(bodies) if not re.search(r"<!--|<(?:script|style|aside)\b", body)]
    coded = [
        n
        for n in plain
        if _CODE.search(bodies[n]) and not re.search(r"\S  |\n\s*\n\s*\n|[\t\x7f-\xa0\u200b]", bodies[n])
    ]
    megabytes = sum(len(body.encode(errors="replace")) for body in bodies) / 1e6
    print(f"| {len(bodies):,} bodies, {megabytes:.1f} MB | MB/s | letters | code | hostile |\n|---|---|---|---|---|")
    for name, read in READERS.items():
        if name in ("selectolax", "lxml") and importlib.util.find_spec(name) is None:
            continue
        start = time.process_time()
        texts = read(bodies)
        rate = megabytes / (time.process_time() - start)
        letters = sum(has_letters(bodies[n], texts[n]) for n in plain) / max(1, len(plain))
        code = sum(has_code(bodies[n], texts[n]) for n in coded) / max(1, len(coded))
        start = time.process_time()
        read(HOSTILE)
        hostile = time.process_time() - start
        print(f"| {name} | {rate:.1f} | {letters:.1%} | {code:.1%} | {hostile:.1f} s |")


if __name__ == "__main__":
    main()
