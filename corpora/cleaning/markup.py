"""HTML read as a row of events: what lays the text out, text, and code.

Well-formed HTML, as the site writes it, needs no tree: its tags are read one after another. Anything else is read by
selectolax (lexbor), of which it gets only the tags that lay text out, bare of attributes. That keeps an unescaped
`vector<int>` or `<stdio.h>`, which the standard takes for tags, and it keeps the time linear: the standard reopens
unclosed inline tags in every paragraph that follows, and lexbor compares each attribute with all before it.
"""

import html
import re
from collections.abc import Iterator
from functools import lru_cache

from selectolax.lexbor import LexborHTMLParser, LexborNode

Event = tuple[int, str]
"""Kind and text."""
PLAIN, TEXT, CODE = range(3)
"""Kinds: what lays out, or is to stay as it is; text; the content of a <pre>."""

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
MAX_NESTING = 200  # lexbor takes time by depth: 21 s for 100,000 nested <div>; the deepest of 19,717 real posts has 18
CODE_BEGINS, CODE_ENDS = "\ufdd0", "\ufdd1"  # stand for <code> in a text; Unicode has no character there

# Of these the quick way knows where they may stand. A tag that does not fit is left to lexbor.
_HOLDS_TEXT = frozenset("p pre h1 h2 h3 h4 h5 h6".split())
_QUICK_BLOCKS = frozenset("div blockquote ul ol li".split()) | _HOLDS_TEXT
_OPEN, _CLOSE, _BREAK, _RULE, _INLINE, _CODE, _UNKNOWN = range(7)
_QUICK_INLINE = INLINE - frozenset("html head body thead tbody tfoot colgroup col center script style".split())
_FREQUENT = ("<code>", "</code>", "</a>", "<em>", "</em>", "<strong>", "</strong>")  # quicker removed all at once
_NAME = re.compile(r"/?[a-zA-Z][a-zA-Z0-9]*+(?=[\s/]|\Z)")
_REFERENCE = re.compile(r"&(?:[a-zA-Z]{2,8}|#(?:3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-6]|1[6-9][0-9]|[2-9][0-9]{2}));")

# Possessive quantifiers (++): each character is read once, whatever the text.
_MARKUP = re.compile(
    r"<(?:!--.*?(?:-->|\Z)"
    r"|(script|style)(?=[\s/>])[^<>]*+>.*?(?:</\1(?=[\s/>])[^<>]*+>|\Z)"
    r"|(/?)([a-z][a-z0-9]*+)(?=[\s/>])[^<>]*+>)?+",
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile("<(/?)([a-z0-9]+)>")  # as _layout_tag leaves them
_SPACE = re.compile(r"\s++")
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_markup(body: str, marked: bool = False) -> Iterator[Event]:
    """The events of an HTML body in document order; with `marked`, inline code between CODE_BEGINS and CODE_ENDS.

    Takes linear time on any input; beyond MAX_NESTING, tags only break lines.
    """
    if marked and (CODE_BEGINS in body or CODE_ENDS in body):
        body = body.replace(CODE_BEGINS, "").replace(CODE_ENDS, "")
    events = read_well_formed(body, marked)
    return read_any(body, marked) if events is None else iter(events)


def read_well_formed(body: str, marked: bool = False) -> list[Event] | None:
    """The events of HTML whose tags are known and nested as they should be; None for any other."""
    if "\r" in body:
        body = body.replace("\r\n", "\n")
    if "\r" in body or "\x00" in body or (not body.isascii() and _SURROGATE.search(body)):
        return None
    if not marked:
        for tag in _FREQUENT:
            body = body.replace(tag, "")
    return _read_tags(body.split("<"), marked)


def _read_tags(pieces: list[str], marked: bool) -> list[Event] | None:  # noqa: C901 - one loop: calls would double its time
    """The events of what stands between the `<` of a body; None where a tag or a reference is not understood."""
    events: list[Event] = []
    names: list[str] = []  # of the blocks that are open
    texts = [pieces[0]]
    after_block = in_code = code_begins = False
    for piece in pieces[1:]:
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
        gathered = texts[0] if len(texts) == 1 else "".join(texts)
        if gathered == "\n" and after_block:  # between two blocks, as nearly always
            events.append(_BETWEEN)
        elif gathered:
            event = _text_event(gathered, in_code, code_begins, after_block)
            if event is None:
                return None
            events.append(event)
        texts = [text]
        after_block = code_begins = False
        if action == _CLOSE:
            if not names or names.pop() != name:
                return None
            after_block, in_code = True, False
            continue
        if action != _BREAK and not _may_stand(name, names):
            return None
        events.append((CODE if in_code else PLAIN, LAYOUT[name]))
        if action == _OPEN:
            names.append(name)
            in_code = code_begins = name == "pre"
        after_block = action == _RULE
    if gathered := "".join(texts):
        event = _text_event(gathered, in_code, code_begins, after_block)
        if event is None:
            return None
        events.append(event)
    return None if names else events


def _text_event(text: str, in_code: bool, code_begins: bool, after_block: bool) -> Event | None:
    """The event of a text with its references resolved; None where one is not known."""
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
        return CODE, text[1:] if code_begins and text[
            :1
        ] == "\n" else text  # as the standard says of a <pre>'s first line
    if "  " not in text and text.isprintable():  # then each white space is one space
        return TEXT, "\n\n" + text.lstrip(" ") if after_block else text
    words = " ".join(text.split())
    if after_block:
        return TEXT, f"\n\n{words} " if words and text[-1].isspace() else f"\n\n{words}"
    if not words:
        return TEXT, " "
    return TEXT, f"{' ' if text[0].isspace() else ''}{words}{' ' if text[-1].isspace() else ''}"


def _may_stand(name: str, names: list[str]) -> bool:
    """Whether a block may begin within those that are open."""
    if not names:
        return name != "li"
    within = names[-1]
    return within not in _HOLDS_TEXT and (name == "li") == (within in ("ul", "ol")) and len(names) < MAX_NESTING


def _known_tags() -> dict[str, tuple[int, str]]:
    known: dict[str, tuple[int, str]] = {}
    for name in _QUICK_INLINE:
        known |= {name: (_INLINE, name), f"/{name}": (_INLINE, name)}
    for name in _QUICK_BLOCKS:
        known |= {name: (_OPEN, name), f"/{name}": (_CLOSE, name)}
    known |= dict.fromkeys(("code", "/code"), (_CODE, "code"))
    for name, action in (("br", _BREAK), ("hr", _RULE)):
        known |= dict.fromkeys((name, f"{name}/", f"{name} /"), (action, name))
    return known


_KNOWN = _known_tags()
_BETWEEN = (TEXT, "\n\n")


@lru_cache(maxsize=4_096)  # most are links, each another one, and as many are a few
def _with_attributes(tag: str) -> tuple[int, str]:
    """Action and name of a tag with attributes or in capitals."""
    name = _NAME.match(tag)
    return _KNOWN.get(name[0].lower(), (_UNKNOWN, "")) if name else (_UNKNOWN, "")


def read_any(body: str, marked: bool = False) -> Iterator[Event]:
    """The events of any HTML, as lexbor reads it."""
    source = _MARKUP.sub(_marked_tag if marked else _layout_tag, _SURROGATE.sub("\ufffd", body))
    if _nests_too_deeply(source):
        yield PLAIN, html.unescape(_TAG.sub("\n", source))
        return
    code = set[int]()  # ids of <pre> and of the elements within
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
    """Elements and texts in document order."""
    tree = LexborHTMLParser(source)
    if "<aside>" in source:
        tree.strip_tags(["aside"])  # the site's notices, the same on many posts
    return tree.body.traverse(include_text=True) if tree.body else iter(())


def _piece(node: LexborNode, text: str | None) -> str:
    """What the beginning of an element, or a text, adds."""
    if text is None:
        return LAYOUT.get(node.tag or "", "")
    return "\n\n" + text.lstrip(" ") if node.prev and node.prev.tag in BLOCKS else text


def _layout_tag(markup: re.Match[str]) -> str:
    """What lexbor gets for a comment, a script, a tag or a stray `<`."""
    name = (markup[3] or "").lower()
    if name in LAYOUT:
        return f"<{markup[2]}{name}>"
    if name in INLINE or (not name and len(markup[0]) > 1):
        return ""
    return "&lt;" + markup[0][1:]


def _marked_tag(markup: re.Match[str]) -> str:
    """The same, with inline code marked."""
    if (markup[3] or "").lower() == "code":
        return CODE_ENDS if markup[2] else CODE_BEGINS
    return _layout_tag(markup)


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
