"""HTML or plain text in; clean text with its code kept out.

selectolax (lexbor) reads the HTML, of which it gets only the tags that lay text out, bare of attributes. That keeps an
unescaped `vector<int>` or `<stdio.h>`, which the standard takes for tags, and it keeps the time linear: the standard
reopens unclosed inline tags in every paragraph that follows, and lexbor compares each attribute with all before it.
"""

import re
from collections.abc import Iterator
from typing import Literal

from selectolax.lexbor import LexborHTMLParser, LexborNode

BLOCKS = frozenset(
    "p div pre blockquote ul ol li dl dt dd table caption tr h1 h2 h3 h4 h5 h6 hr "
    "section article header footer figure figcaption details summary".split()
)
LAYOUT = {**dict.fromkeys(BLOCKS, "\n\n"), "li": "\n\n- ", "br": "\n", "td": " ", "th": " ", "aside": ""}
INLINE = frozenset(
    "a abbr b big cite code del em font i img ins kbd mark q s samp small span strike strong sub sup tt u var "
    "html head body thead tbody tfoot colgroup col center script style".split()
)
VOID = frozenset(("br", "hr"))
MAX_NESTING = 200  # lexbor takes time by depth: 21 s for 100,000 nested <div>; the deepest of 19,717 real posts has 18
MAX_INDENT = 80  # columns; deeper is no code that people wrote

# Possessive quantifiers (++): each character is read once, whatever the text.
_MARKUP = re.compile(
    r"<(?:!--.*?(?:-->|\Z)"
    r"|(script|style)(?=[\s/>])[^<>]*+>.*?(?:</\1(?=[\s/>])[^<>]*+>|\Z)"
    r"|(/?)([a-z][a-z0-9]*+)(?=[\s/>])[^<>]*+>)?+",
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile("<(/?)([a-z0-9]+)>")  # as _layout_tag leaves them
_SPACE = re.compile(r"\s++")
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
    """Text of an HTML body: paragraphs and list items a blank line apart, code with its lines and indentation.

    Takes linear time on any input; beyond MAX_NESTING, tags only break lines.

    >>> html_to_text("<p>Use <code>a &lt; b</code>:</p><ul><li>one<li>two</ul><pre>if x:\\n    y()</pre>")
    'Use a < b:\\n\\n- one\\n\\n- two\\n\\nif x:\\n    y()'
    """
    parts = ["\n"]
    code = set[int]()  # ids of <pre> and of the elements within
    for node in _read(body):
        in_code = node.parent is not None and node.parent.mem_id in code
        if in_code or node.tag == "pre":
            code.add(node.mem_id)
        piece = _piece(node, in_code)
        if parts[-1] == LAYOUT["li"]:
            piece = piece.lstrip()
        elif not in_code and parts[-1].endswith("\n"):
            piece = piece.lstrip(" ")
        if piece:
            parts.append(piece)
    return clean_text("".join(parts))


def _read(body: str) -> Iterator[LexborNode]:
    """Elements and texts in document order."""
    source = _MARKUP.sub(_layout_tag, _SURROGATE.sub("\ufffd", body))
    if _nests_too_deeply(source):
        source = "<pre>" + _TAG.sub("\n", source)
    tree = LexborHTMLParser(source)
    if "<aside>" in source:
        tree.strip_tags(["aside"])  # the site's notices, the same on many posts
    return tree.body.traverse(include_text=True) if tree.body else iter(())


def _piece(node: LexborNode, in_code: bool) -> str:
    """What the beginning of an element, or a text, adds."""
    text = node.text_content
    if text is None:
        return LAYOUT.get(node.tag or "", "")
    text = text if in_code else _SPACE.sub(" ", text)
    return "\n\n" + text.lstrip(" ") if node.prev and node.prev.tag in BLOCKS else text


def _layout_tag(markup: re.Match[str]) -> str:
    """What lexbor gets for a comment, a script, a tag or a stray `<`."""
    name = (markup[3] or "").lower()
    if name in LAYOUT:
        return f"<{markup[2]}{name}>"
    if name in INLINE or (not name and len(markup[0]) > 1):
        return ""
    return "&lt;" + markup[0][1:]


def _nests_too_deeply(source: str) -> bool:
    """Whether lexbor might nest elements deeper than MAX_NESTING.

    Only a tag that closes the innermost open one counts as closing, for the standard ignores many others
    (`<div><table><td></div>` leaves the <div> open). What it opens by itself (<tbody>, <tr>) at most triples the depth.
    """
    names: list[str] = []
    for slash, name in _TAG.findall(source):
        if not slash and name not in VOID:
            names.append(name)
            if len(names) > MAX_NESTING:
                return True
        elif slash and names and names[-1] == name:
            names.pop()
    return False


def clean_text(text: str) -> str:
    """Text without control characters, lone surrogates, trailing space, double spaces or runs of empty lines.

    The indentation of lines is kept, for it is code's.
    """
    text = _NEWLINE.sub("\n", text)
    text = text if text.isascii() else _SURROGATE.sub("\ufffd", text)
    lines = (_clean_line(line) for line in _REMOVED.sub("", text).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


def _clean_line(line: str) -> str:
    content = " ".join(line.split())
    if not content or line.startswith(content[0]):
        return content
    indent = len(line) - len(line.lstrip())
    return line[: min(indent, MAX_INDENT)].replace("\xa0", " ") + content
