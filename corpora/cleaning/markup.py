"""Extracts text and code from HTML, by resiliparse.

Several well-formed bodies are parsed in one call, whose fixed cost is that of a kilobyte of HTML. Any other HTML is
parsed alone, reduced to layout tags without attributes. This preserves an unescaped `vector<int>` or `<stdio.h>`, which
the standard parses as tags, and it keeps the time linear: the standard reopens unclosed inline tags in every following
paragraph, searches all open elements for the one that a tag closes, and compares each attribute with all earlier ones.
"""

import html
import re
from collections.abc import Sequence

from resiliparse.extract.html2text import extract_plain_text

BLOCKS = frozenset(
    "p div pre blockquote ul ol li dl dt dd table caption tr td th h1 h2 h3 h4 h5 h6 "
    "section article header footer details aside".split()
)
AS_DIV = frozenset("figure figcaption summary".split())  # resiliparse drops figures and joins summaries to what follows
INLINE = frozenset(
    "a abbr b big cite code del em font i ins kbd mark q s samp small span strike strong sub sup tt u var "
    "thead tbody tfoot colgroup center".split()
)
VOID = frozenset(("br", "hr"))
REMOVED = frozenset("html head body img col script style".split())
NOTICES = ["aside"]  # notices of the site, the same on many posts

# Control characters, which no text keeps, mark what the extracted text should show.
CODE_BEGINS, CODE_ENDS, INLINE_CODE, BODY_ENDS = MARKERS = "\x01\x02\x03\x04"
_MARKERS = re.compile("[\x01-\x04]")
_BETWEEN = f"<hr>{BODY_ENDS}<hr>"

# Above these, a body is reduced and parsed alone. Of 19,684 real posts, 22 have more tags and none more characters.
MAX_TAGS, MAX_CHARACTERS = 200, 50_000
# The deepest of 19,717 real posts has 18; the time of some tags, and the indentation of lists, grow with the depth.
MAX_NESTING = 200

# Possessive quantifiers (++) never backtrack, so that each character is read once.
_WELL_FORMED_TAG = re.compile(r'(</?[a-z][a-z0-9]*+)(?:\s++[a-z][\w:-]*+(?:="[^"<>]*+")?+)*+\s*+/?>')
_CLOSING = {f"<{name}": f"</{name}" for name in BLOCKS | INLINE}
_ALONE = frozenset(("<br", "<hr", "<img"))
_LIST_ENDS = frozenset(("</ul", "</ol"))  # resiliparse indents all that follows an item outside of a list
_PRE_BEGINS = re.compile(r"(<pre\s[^<>]*+>)")
_CODE_TAG = re.compile(r"</?code\b[^<>]*+>", re.IGNORECASE)
_MARKUP = re.compile(
    r"<(?:!--.*?(?:-->|\Z)"
    r"|(script|style)(?=[\s/>])[^<>]*+>.*?(?:</\1(?=[\s/>])[^<>]*+>|\Z)"
    r"|(/?)([a-z][a-z0-9]*+)(?=[\s/>])[^<>]*+>)?+",
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile("<(/?)([a-z0-9]+)>")  # in the output of _layout_tag
_SURROGATE = re.compile("[\ud800-\udfff]")


def extract_texts(bodies: Sequence[str], marked: bool = False) -> list[str]:
    """The text of each HTML body, with its code blocks between CODE_BEGINS and CODE_ENDS.

    With `marked`, INLINE_CODE stands before and after inline code. Takes linear time on any input; in HTML nested
    deeper than MAX_NESTING, tags only break lines. A text does not depend on the bodies beside it.
    """
    sources = [_MARKERS.sub("", body) if _has_marker(body) else body for body in bodies]
    whole = [number for number, source in enumerate(sources) if is_well_formed(source)]
    texts = dict[int, str]()
    for is_ascii in (True, False):  # apart, as Python takes twice the time for a text with any other character
        numbers = [number for number in whole if sources[number].isascii() == is_ascii]
        if numbers:
            texts |= zip(numbers, _extract([sources[number] for number in numbers], marked), strict=True)
    return [texts[n] if n in texts else _extract_any(source, marked) for n, source in enumerate(sources)]


def is_well_formed(body: str) -> bool:
    """Whether all tags of a body are known, written as the site writes them, and closed in their order."""
    tags = _WELL_FORMED_TAG.findall(body)
    if len(tags) != body.count("<") or len(tags) > MAX_TAGS or len(body) > MAX_CHARACTERS:
        return False
    if not body.isascii() and _SURROGATE.search(body):
        return False
    expected = list[str]()
    for tag in tags:
        if tag in _CLOSING:
            if tag == "<li" and not (expected and expected[-1] in _LIST_ENDS):
                return False
            expected.append(_CLOSING[tag])
        elif tag not in _ALONE and (not expected or expected.pop() != tag):
            return False
    return not expected


def _has_marker(body: str) -> bool:
    return any(marker in body for marker in MARKERS)


def _extract(sources: Sequence[str], marked: bool) -> list[str]:
    """The texts of well-formed bodies."""
    source = _BETWEEN.join(sources)
    texts = _plain_text(_CODE_TAG.sub(INLINE_CODE, source) if marked else source).split(BODY_ENDS)
    if len(texts) == len(sources):
        return texts
    # a reference, &#4;, became a marker
    return [_extract_any(source, marked).replace(BODY_ENDS, "") for source in sources]


def _extract_any(body: str, marked: bool) -> str:
    """The text of any HTML, parsed alone."""
    source = body if body.isascii() else _SURROGATE.sub("\ufffd", body)
    source = _MARKUP.sub(_layout_tag, _CODE_TAG.sub(INLINE_CODE, source) if marked else source)
    if _nests_too_deeply(source):
        return html.unescape(_TAG.sub("\n", _with_code_marked(source)))
    return _plain_text(source)


def _plain_text(source: str) -> str:
    skipped = NOTICES if "<aside" in source else None
    marked = _with_code_marked(source)
    return str(extract_plain_text(marked, preserve_formatting=True, alt_texts=False, skip_elements=skipped))


def _with_code_marked(source: str) -> str:
    if "<pre" not in source:
        return source
    source = source.replace("<pre>", f"<pre>{CODE_BEGINS}").replace("</pre>", f"{CODE_ENDS}</pre>")
    return _PRE_BEGINS.sub(rf"\1{CODE_BEGINS}", source) if "<pre " in source else source


def _layout_tag(markup: re.Match[str]) -> str:
    """Replacement of a comment, a script, a tag or a stray `<`."""
    name = (markup[3] or "").lower()
    if name in BLOCKS or name in VOID:
        return f"<{markup[2]}{name}>"
    if name in AS_DIV:
        return f"<{markup[2]}div>"
    if name in INLINE or name in REMOVED or (not name and len(markup[0]) > 1):
        return ""
    return "&lt;" + markup[0][1:]


def _nests_too_deeply(source: str) -> bool:
    """Whether the parser might nest elements deeper than MAX_NESTING.

    A closing tag counts only if it closes the innermost open element, because the standard ignores many others
    (`<div><table><td></div>` leaves the <div> open). Elements that the standard inserts (<tbody>, <tr>) at most triple
    the depth.
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
