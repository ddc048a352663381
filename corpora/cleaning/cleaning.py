"""Cleans HTML or plain text; code is kept, marked or dropped."""

import re
from collections.abc import Sequence
from typing import Literal

from corpora.cleaning.body_format import looks_like_html
from corpora.cleaning.markup import CODE_BEGINS, CODE_ENDS, INLINE_CODE, extract_texts

Code = Literal["keep", "mark", "drop"]
Format = Literal["auto", "html", "text"]

MAX_INDENT = 80  # columns; people do not write deeper code

_REMOVED = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\u200b\u2060\ufeff]")
_NEWLINE = re.compile("\r\n|[\r\x0c\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# What is removed or replaced, and white space other than ' ' and '\n'; one class, as it is searched in all texts.
_ODD = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff\ud800-\udfff]"
)
_ODD_ASCII = bytes(code for code in range(128) if _ODD.match(chr(code)))
_DEEP = " " * (MAX_INDENT + 1)
_BACKTICKS = re.compile("`++")
# Of the lines of a list; a literal at the start of a pattern makes it quick.
_EMPTY_ITEM = re.compile(r"\n ++(?:•|[0-9]++\.) *+(?=\n|\Z)")
_BULLET = re.compile("\n ++• ")
_INDENT = re.compile("\n ++")


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
    """Text of one HTML body, see html_to_texts.

    >>> html_to_text("<p>Use <code>a &lt; b</code>:</p><ul><li>one<li>two</ul><pre>if x:\\n    y()</pre>")
    'Use a < b:\\n\\n- one\\n- two\\n\\nif x:\\n    y()'
    """
    return html_to_texts([body], code)[0]


def html_to_texts(bodies: Sequence[str], code: Code = "keep") -> list[str]:
    """Texts of HTML bodies: blank lines between paragraphs and around code, which keeps its lines and indentation.

    `code` 'mark' puts code blocks between lines of backticks and inline code between backticks; 'drop' removes code
    blocks. Takes linear time on any input, see extract_texts.
    """
    return [clean_text(_laid_out(text, code)) for text in extract_texts(bodies, marked=code == "mark")]


def _laid_out(text: str, code: Code) -> str:
    """An extracted text with list items at the start of their lines, and blank lines around code."""
    prose, *blocks = text.split(CODE_BEGINS)
    pieces = [_without_indents(prose)]
    for block in blocks:
        content, _, prose = block.partition(CODE_ENDS)
        content = content.replace(INLINE_CODE, "").strip("\n")
        if code == "mark" and content.strip():
            content = _fenced(content)
        pieces += ("" if code == "drop" else content, _without_indents(prose))
    if code == "mark":
        pieces[::2] = [prose.replace(INLINE_CODE, "`") for prose in pieces[::2]]
    return "\n\n".join(pieces)


def _without_indents(prose: str) -> str:
    """Prose without the indentation that lists give to lines and without empty items, and with a hyphen as bullet."""
    if prose.startswith("  ") or "\n  " in prose:
        prose = _INDENT.sub("\n", _BULLET.sub("\n- ", _EMPTY_ITEM.sub("\n", f"\n{prose}")))
    return prose.strip()


def _fenced(content: str) -> str:
    """A code block between fences longer than any run of backticks in it."""
    fence = "`" * max(3, 1 + max(map(len, _BACKTICKS.findall(content)), default=0))
    return f"{fence}\n{content}\n{fence}"


def clean_text(text: str) -> str:
    """Text without control characters, lone surrogates, trailing spaces, double spaces and runs of empty lines.

    The indentation of lines is kept, because code needs it.
    """
    if text.isascii():
        odd = len(text.encode().translate(None, _ODD_ASCII)) < len(text)
    else:
        odd = _ODD.search(text) is not None
    if odd:
        text = _REMOVED.sub("", _SURROGATE.sub("\ufffd", _NEWLINE.sub("\n", text)))
        text = "\n".join(map(_clean_line, text.split("\n")))
    elif "  " in text or " \n" in text or text.endswith(" "):
        text = _tidy(text)
    while "\n\n\n" in text:  # each pass removes a third; faster than a regular expression
        text = text.replace("\n\n\n", "\n\n")
    return text.strip("\n")


def _tidy(text: str) -> str:
    """The text with clean lines, where its only other white space is spaces."""
    lines = text.split("\n")
    if _DEEP in text:
        return "\n".join(map(_clean_line, lines))
    contents = list(map(str.lstrip, lines))
    if "  " in "\n".join(contents) or " \n" in text or text[-1] == " ":
        pairs = zip(lines, contents, strict=True)
        lines = [_clean_line(line) if "  " in content or line[-1:] == " " else line for line, content in pairs]
    return "\n".join(lines)


def _clean_line(line: str) -> str:
    content = " ".join(line.split())
    if not content or line.startswith(content[0]):
        return content
    indent = len(line) - len(line.lstrip())
    return line[: min(indent, MAX_INDENT)].replace("\xa0", " ") + content
