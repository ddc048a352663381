"""Parses HTML into a sequence of events: layout, text and code.

Well-formed HTML, as the site writes it, is read tag by tag, without a tree. Any other HTML goes to selectolax (lexbor),
reduced to layout tags without attributes. This preserves an unescaped `vector<int>` or `<stdio.h>`, which the standard
parses as tags, and it keeps the time linear: the standard reopens unclosed inline tags in every following paragraph,
and lexbor compares each attribute with all earlier ones.
"""

import html
import re
from collections.abc import Iterator
from functools import lru_cache

from selectolax.lexbor import LexborHTMLParser, LexborNode

Event = tuple[int, str]
"""Kind and text."""
PLAIN, TEXT, CODE = range(3)
"""Kinds: layout, or text to be kept verbatim; text; the content of a <pre>."""

BLOCKS = frozenset(
    "p div pre blockquote ul ol li dl dt dd table caption tr h1 h2 h3 h4 h5 h6 hr "
    "section article header footer figure figcaption details summary".split()
)
ITEM = "\n\n- "
LAYOUT = {**dict.fromkeys(BLOCKS, "\n\n"), "li": ITEM, "br": "\n", "td": " ", "th": " ", "aside": ""}
INLINE = frozenset(
    "a abbr b big cite code del em font i img ins kbd mark q s samp small span strike strong sub sup tt u var "
    "html head body thead tbody tfoot colgroup col center script style".split()
)
VOID = frozenset(("br", "hr"))
# lexbor's time grows with the depth: 21 s for 100,000 nested <div>. The deepest of 19,717 real posts has 18.
MAX_NESTING = 200
CODE_BEGINS, CODE_ENDS = "\ufdd0", "\ufdd1"  # mark <code> in a text; Unicode noncharacters

# The fast path knows where these may occur. HTML with a tag in another position goes to lexbor.
_HOLDS_TEXT = frozenset("p pre h1 h2 h3 h4 h5 h6".split())
_FAST_BLOCKS = frozenset("div blockquote ul ol li".split()) | _HOLDS_TEXT
_OPEN, _CLOSE, _BREAK, _RULE, _INLINE, _CODE, _END, _UNKNOWN = range(8)
_FAST_INLINE = INLINE - frozenset("html head body thead tbody tfoot colgroup col center script style".split())
_FREQUENT = ("<code>", "</code>", "</a>", "<em>", "</em>", "<strong>", "</strong>")  # faster to remove all at once
_NAME = re.compile(r"/?[a-zA-Z][a-zA-Z0-9]*+(?=[\s/]|\Z)")
_REFERENCE = re.compile(r"&(?:[a-zA-Z]{2,8}|#(?:3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-6]|1[6-9][0-9]|[2-9][0-9]{2}));")

# Possessive quantifiers (++) never backtrack, so that each character is read once.
_MARKUP = re.compile(
    r"<(?:!--.*?(?:-->|\Z)"
    r"|(script|style)(?=[\s/>])[^<>]*+>.*?(?:</\1(?=[\s/>])[^<>]*+>|\Z)"
    r"|(/?)([a-z][a-z0-9]*+)(?=[\s/>])[^<>]*+>)?+",
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile("<(/?)([a-z0-9]+)>")  # in the output of _layout_tag
_SPACE = re.compile(r"\s++")
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_markup(body: str, marked: bool = False) -> Iterator[Event]:
    """The events of an HTML body in document order; with `marked`, inline code between CODE_BEGINS and CODE_ENDS.

    Takes linear time on any input; in HTML nested deeper than MAX_NESTING, tags only break lines.
    """
    if marked and (CODE_BEGINS in body or CODE_ENDS in body):
        body = body.replace(CODE_BEGINS, "").replace(CODE_ENDS, "")
    events = read_well_formed(body, marked)
    return read_any(body, marked) if events is None else iter(events)


def read_well_formed(body: str, marked: bool = False) -> list[Event] | None:
    """The events of HTML whose tags are known and correctly nested; None for any other."""
    if "\r" in body:
        body = body.replace("\r\n", "\n")
    if "\r" in body or "\x00" in body or (not body.isascii() and _SURROGATE.search(body)):
        return None
    if not marked:
        for tag in _FREQUENT:
            body = body.replace(tag, "")
    return _read_tags(body.split("<"), marked)


def _read_tags(pieces: list[str], marked: bool) -> list[Event] | None:  # noqa: C901 - one loop: calls would double its time
    """The events of a body split at `<`; None if a tag, its position or a reference is not understood."""
    events, texts = list[Event](), [pieces[0]]
    names: list[str] = []  # of the open blocks
    after_block = in_code = code_begins = False
    for piece in [*pieces[1:], _END_OF_BODY]:
        tag, closed, text = piece.partition(">")
        action, name = _KNOWN.get(tag) or _with_attributes(tag)
        if action == _INLINE and closed:
            texts.append(text)
            continue
        if action == _UNKNOWN or not closed:
            return None
        if action == _CODE:
            texts.append((CODE_ENDS if tag[0] == "/" else CODE_BEGINS) + text if marked else text)
            continue
        joined = texts[0] if len(texts) == 1 else "".join(texts)
        if joined:
            between = joined == "\n" and after_block  # by far the most frequent text
            event = _BETWEEN if between else _text_event(joined, in_code, code_begins, after_block)
            if event is None:
                return None
            events.append(event)
        texts = [text]
        after_block = code_begins = False
        if action == _CLOSE:
            if not names or names.pop() != name:
                return None
            after_block, in_code = True, False
        elif action == _END:
            break
        elif action == _BREAK or _can_begin(name, names):
            events.append((CODE if in_code else PLAIN, LAYOUT[name]))
            if action == _OPEN:
                names.append(name)
                in_code = code_begins = name == "pre"
            after_block = action == _RULE
        else:
            return None
    return None if names else events


def _text_event(text: str, in_code: bool, code_begins: bool, after_block: bool) -> Event | None:
    """The event of a text with its references resolved; None if one is unknown."""
    if "&" in text:
        text = text.replace("&lt;", "<").replace("&gt;", ">")
        references = text.count("&")
        if text.count("&amp;") == references:
            text = text.replace("&amp;", "&")
        elif len(_REFERENCE.findall(text)) == references:
            text = html.unescape(text)
        else:
            return None
    if in_code:
        # the standard ignores a line break at the start of a <pre>
        return CODE, text.removeprefix("\n") if code_begins else text
    if "  " not in text and text.isprintable():  # then spaces are the only white space, and single
        return TEXT, "\n\n" + text.lstrip(" ") if after_block else text
    words = " ".join(text.split())
    if after_block:
        return TEXT, f"\n\n{words} " if words and text[-1].isspace() else f"\n\n{words}"
    if not words:
        return TEXT, " "
    return TEXT, f"{' ' if text[0].isspace() else ''}{words}{' ' if text[-1].isspace() else ''}"


def _can_begin(name: str, names: list[str]) -> bool:
    """Whether a block may begin inside the open blocks `names`."""
    if not names:
        return name != "li"
    parent = names[-1]
    return parent not in _HOLDS_TEXT and (name == "li") == (parent in ("ul", "ol")) and len(names) < MAX_NESTING


def _known_tags() -> dict[str, tuple[int, str]]:
    """Text of a tag, without < and > -> action and name."""
    known: dict[str, tuple[int, str]] = {_END_OF_BODY[:-1]: (_END, "")}
    for name in _FAST_INLINE:
        known |= {name: (_INLINE, name), f"/{name}": (_INLINE, name)}
    for name in _FAST_BLOCKS:
        known |= {name: (_OPEN, name), f"/{name}": (_CLOSE, name)}
    known |= dict.fromkeys(("code", "/code"), (_CODE, "code"))
    for name, action in (("br", _BREAK), ("hr", _RULE)):
        known |= dict.fromkeys((name, f"{name}/", f"{name} /"), (action, name))
    return known


_END_OF_BODY = "\x00>"  # a tag that closes every body; a body with \x00 of its own never gets here
_KNOWN = _known_tags()
_BETWEEN = (TEXT, "\n\n")


@lru_cache(maxsize=4_096)  # most are links, nearly all different; the others are few
def _with_attributes(tag: str) -> tuple[int, str]:
    """Action and name of a tag with attributes or in capitals."""
    name = _NAME.match(tag)
    return _KNOWN.get(name[0].lower(), (_UNKNOWN, "")) if name else (_UNKNOWN, "")


def read_any(body: str, marked: bool = False) -> Iterator[Event]:
    """The events of any HTML, parsed by lexbor."""
    source = _MARKUP.sub(_marked_tag if marked else _layout_tag, _SURROGATE.sub("\ufffd", body))
    if _nests_too_deeply(source):
        yield PLAIN, html.unescape(_TAG.sub("\n", source))
        return
    code = set[int]()  # ids of <pre> elements and their descendants
    for node in _nodes(source):
        in_code = node.parent is not None and node.parent.mem_id in code
        if in_code or node.tag == "pre":
            code.add(node.mem_id)
        text = node.text_content
        if in_code:
            yield CODE, _piece(node, text)
        elif text is None:
            yield PLAIN, _piece(node, None)
        else:
            yield TEXT, _piece(node, _SPACE.sub(" ", text))


def _nodes(source: str) -> Iterator[LexborNode]:
    """Element and text nodes in document order."""
    tree = LexborHTMLParser(source)
    if "<aside>" in source:
        tree.strip_tags(["aside"])  # notices of the site, the same on many posts
    return tree.body.traverse(include_text=True) if tree.body else iter(())


def _piece(node: LexborNode, text: str | None) -> str:
    """The layout that begins an element, or a text node's text."""
    if text is None:
        return LAYOUT.get(node.tag or "", "")
    return "\n\n" + text.lstrip(" ") if node.prev and node.prev.tag in BLOCKS else text


def _layout_tag(markup: re.Match[str]) -> str:
    """Replacement, for lexbor, of a comment, a script, a tag or a stray `<`."""
    name = (markup[3] or "").lower()
    if name in LAYOUT:
        return f"<{markup[2]}{name}>"
    if name in INLINE or (not name and len(markup[0]) > 1):
        return ""
    return "&lt;" + markup[0][1:]


def _marked_tag(markup: re.Match[str]) -> str:
    """Like _layout_tag, with inline code marked."""
    if (markup[3] or "").lower() == "code":
        return CODE_ENDS if markup[2] else CODE_BEGINS
    return _layout_tag(markup)


def _nests_too_deeply(source: str) -> bool:
    """Whether lexbor might nest elements deeper than MAX_NESTING.

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
