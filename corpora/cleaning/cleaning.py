"""Cleans HTML or plain text; code is kept, marked or dropped."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Literal

from corpora.cleaning.body_format import looks_like_html
from corpora.cleaning.markup import CODE, CODE_BEGINS, CODE_ENDS, ITEM, Event, read_markup

Code = Literal["keep", "mark", "drop"]
Format = Literal["auto", "html", "text"]

MAX_INDENT = 80  # columns; people do not write deeper code

_REMOVED = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\u200b\u2060\ufeff]")
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\x0c") + b"\x7f"  # the ASCII ones of _REMOVED
_NEWLINE = re.compile("\r\n|[\r\x0c\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_OTHER_SPACE = re.compile(r"[^\S \n]")
_BACKTICKS = re.compile("`++")
_MARKS = str.maketrans({CODE_BEGINS: "`", CODE_ENDS: "`"})
_NO_MARKS = str.maketrans({CODE_BEGINS: "", CODE_ENDS: ""})


def clean_body(body: str, format: Format, code: Code = "keep") -> str:
    """A body as clean text; for `code` see html_to_text."""
    return html_to_text(body, code) if found_format(body, format) == "html" else clean_text(body)


def found_format(body: str, format: Format) -> Format:
    """'html' or 'text', decided by the body where `format` is 'auto'."""
    if format != "auto":
        return format
    return "html" if looks_like_html(body) else "text"


def clean_title(title: str) -> str:
    """A title on one line."""
    if title.isprintable():
        return " ".join(title.split())
    return " ".join(clean_text(title).split())


def html_to_text(body: str, code: Code = "keep") -> str:
    """Text of an HTML body: blank lines between paragraphs and list items, code with its lines and indentation.

    `code` 'mark' puts code blocks between lines of backticks and inline code between backticks; 'drop' removes code
    blocks. Takes linear time on any input, see read_markup.

    >>> html_to_text("<p>Use <code>a &lt; b</code>:</p><ul><li>one<li>two</ul><pre>if x:\\n    y()</pre>")
    'Use a < b:\\n\\n- one\\n\\n- two\\n\\nif x:\\n    y()'
    """
    events = read_markup(body, marked=code == "mark")
    if code == "drop":
        events = (event for event in events if event[0] != CODE)
    elif code == "mark":
        events = _fenced(events)
    pieces = [last := "\n"]
    for kind, piece in events:
        if last == ITEM:
            piece = piece.lstrip()
        elif kind != CODE and last[-1] == "\n":
            if piece == last == "\n\n":
                continue  # two empty lines are one
            piece = piece.lstrip(" ")
        if piece:
            pieces.append(last := piece)
    return clean_text("".join(pieces))


def _fenced(events: Iterable[Event]) -> Iterator[Event]:
    """Put each code block between fences longer than any run of backticks in it."""
    for kind, group in groupby(events, key=lambda event: event[0]):
        if kind != CODE:
            yield from ((kind, piece.translate(_MARKS)) for _, piece in group)
            continue
        content = "".join(piece for _, piece in group).translate(_NO_MARKS).strip("\n")
        fence = "`" * max(3, 1 + max(map(len, _BACKTICKS.findall(content)), default=0))
        yield CODE, f"{fence}\n{content}\n{fence}"


def clean_text(text: str) -> str:
    """Text without control characters, lone surrogates, trailing spaces, double spaces and runs of empty lines.

    The indentation of lines is kept, because code needs it.
    """
    if not text.isascii():
        text = _REMOVED.sub("", _SURROGATE.sub("\ufffd", _NEWLINE.sub("\n", text)))
        other_space = "\t" in text or _OTHER_SPACE.search(text) is not None
    else:
        if "\r" in text or "\x0c" in text:
            text = _NEWLINE.sub("\n", text)
        if len(text.encode().translate(None, _CONTROLS)) < len(text):
            text = _REMOVED.sub("", text)
        other_space = "\t" in text
    if other_space:
        text = "\n".join(map(_clean_line, text.split("\n")))
    elif "  " in text or " \n" in text or text.endswith(" "):
        lines = text.split("\n")
        text = "\n".join([_tidy(line) if "  " in line or line[-1:] == " " else line for line in lines])
    while "\n\n\n" in text:  # each pass removes a third; faster than a regular expression
        text = text.replace("\n\n\n", "\n\n")
    return text.strip("\n")


def _tidy(line: str) -> str:
    """Like _clean_line, for a line whose only white space is spaces."""
    content = line.lstrip(" ")
    clean = line[-1] != " " and "  " not in content and len(line) - len(content) <= MAX_INDENT
    return line if clean else _clean_line(line)


def _clean_line(line: str) -> str:
    content = " ".join(line.split())
    if not content or line.startswith(content[0]):
        return content
    indent = len(line) - len(line.lstrip())
    return line[: min(indent, MAX_INDENT)].replace("\xa0", " ") + content
