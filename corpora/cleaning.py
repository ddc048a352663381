"""HTML or plain text in; clean text with its code kept out.

HTML is read as a row of tags, not as a tree: what posts need of it (line breaks, code, no scripts) needs no tree,
and building one takes HTML5 parsers quadratic time on nested or unclosed tags (21 s for 100,000 <div>). Only names
that HTML defines for running text count as tags, so an unescaped `vector<int>` or `<stdio.h>` stays.
"""

import html
import re
from typing import Literal

BLOCKS = frozenset(
    "p div pre blockquote ul ol dl table h1 h2 h3 h4 h5 h6 hr section article header footer figure details".split()
)
LINES = frozenset("li br tr dt dd summary caption".split())
CELLS = frozenset("td th".split())
INLINE = frozenset(
    "a abbr b big cite code del em font i img ins kbd mark q s samp small span strike strong sub sup tt u var "
    "html head body tbody thead tfoot colgroup col center figcaption".split()
)
DROPPED = frozenset(("script", "style", "aside"))  # aside: the site's notices, the same on many posts
MAX_INDENT = 80  # columns; deeper is no code that people wrote

# Possessive quantifiers (++): each character is read once, whatever the text.
_TAG = re.compile(r"<!--|<(/?)([a-zA-Z][a-zA-Z0-9]{0,15}+)(?=[\s/>])[^<>]*+>")
_END = {name: re.compile(rf"</{name}\b[^<>]*+>", re.IGNORECASE) for name in DROPPED}
_SPACE = re.compile(r"\s++")
_LONG_NUMBER = re.compile(r"&#[0-9]{8,}+;?")  # beyond Unicode, and int() refuses more than 4,300 digits
_REMOVED = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\u200b\u2060\ufeff]")
_NEWLINE = re.compile("\r\n|[\r\x0c\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BLANK_LINES = re.compile(r"\n{3,}+")
_LAID_OUT = re.compile(
    r"\A\s*+<(?:p|pre|ul|ol|h[1-6]|blockquote|div|hr|strong|em|b|i|br)\b[^<>]*+>|</p>(?:[ \t]?\n|\Z)|</code></pre>",
    re.IGNORECASE,
)


def clean_body(body: str, format: Literal["auto", "html", "text"]) -> str:
    """A body as clean text."""
    if format == "html" or (format == "auto" and looks_like_html(body)):
        return html_to_text(body)
    return clean_text(body)


def clean_title(title: str) -> str:
    """A title on one line."""
    return " ".join(clean_text(title).split())


def looks_like_html(body: str) -> bool:
    """Whether the body is laid out by HTML, and not merely about HTML.

    >>> looks_like_html("<p>Why?</p>"), looks_like_html("What does <p> mean?")
    (True, False)
    """
    return _LAID_OUT.search(body) is not None


def html_to_text(body: str) -> str:
    """Text of an HTML body: paragraphs a blank line apart, list items on lines, code with its lines and indentation.

    Takes linear time on any input.

    >>> html_to_text("<p>Use <code>a &lt; b</code>:</p><ul><li>one<li>two</ul><pre>if x:\\n    y()</pre>")
    'Use a < b:\\n\\n- one\\n- two\\n\\nif x:\\n    y()'
    """
    parts: list[str] = []
    place, in_pre = 0, False
    while tag := _TAG.search(body, place):
        name = (tag[2] or "").lower()
        if name and name not in BLOCKS | LINES | CELLS | INLINE | DROPPED:
            _append(parts, body[place : tag.end()], in_pre)
            place = tag.end()
            continue
        _append(parts, body[place : tag.start()], in_pre)
        place = tag.end()
        if not name or (name in DROPPED and not tag[1]):
            place = _end_of_dropped(body, name, place)
        elif name == "pre":
            in_pre = not tag[1]
        parts.append(_layout(name, bool(tag[1]), parts[-1] if parts else ""))
    _append(parts, body[place:], in_pre)
    return clean_text("".join(parts))


def clean_text(text: str) -> str:
    """Text without control characters, lone surrogates, trailing space, double spaces or runs of empty lines.

    The indentation of lines is kept, for it is code's.
    """
    text = _SURROGATE.sub("\ufffd", _NEWLINE.sub("\n", text))
    lines = (_clean_line(line) for line in _REMOVED.sub("", text).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


def _clean_line(line: str) -> str:
    content = line.lstrip()
    indent = line[: min(len(line) - len(content), MAX_INDENT)].replace("\xa0", " ")
    return indent + " ".join(content.split()) if content else ""


def _append(parts: list[str], source: str, in_pre: bool) -> None:
    """Append the text that a stretch of HTML without tags stands for."""
    text = html.unescape(_LONG_NUMBER.sub("\ufffd", source)) if "&" in source else source
    if not in_pre:
        text = _SPACE.sub(" ", text)
        if not parts or parts[-1].endswith(("\n", "- ")):
            text = text.lstrip()
    if text:
        parts.append(text)


def _layout(name: str, closing: bool, before: str) -> str:
    """What a tag leaves in the text; `before` is what stands there already."""
    if name in BLOCKS:
        return "" if before == "\n- " and not closing else "\n\n"
    if name in LINES:
        return "\n- " if name == "li" and not closing else "\n"
    return " " if name in CELLS else ""


def _end_of_dropped(body: str, name: str, place: int) -> int:
    """Where a comment, script or style that begins before `place` ends; unclosed, it goes to the end of the body."""
    if not name:
        end = body.find("-->", place)
        return end + 3 if end >= 0 else len(body)
    found = _END[name].search(body, place)
    return found.end() if found else len(body)
