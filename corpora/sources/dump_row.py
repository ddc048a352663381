"""Parses one row of a dump's XML into its attributes.

XML forbids most control characters, even as references such as &#x8;, but published dumps hold some, since their
writer does not check. They are removed and counted; the rest of the row is as its author wrote it.
"""

import re
from xml.parsers import expat

_NAMES = frozenset(
    "Id PostTypeId AcceptedAnswerId ParentId CreationDate DeletionDate Score ViewCount Body OwnerUserId "
    "OwnerDisplayName LastEditorUserId LastEditorDisplayName LastEditDate LastActivityDate Title Tags AnswerCount "
    "CommentCount FavoriteCount ClosedDate CommunityOwnedDate ContentLicense PostId RelatedPostId LinkTypeId".split()
)
_FIELDS = {f" {name}=": name for name in _NAMES} | {f"<row {name}=": name for name in _NAMES}
_CONTROLS = bytes(range(32))  # XML forbids all but three of them, and normalises these

_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
_REFERENCE = re.compile(rb"&#(?:x0*([0-9A-Fa-f]{1,6})|0*([0-9]{1,7}));")


class RowError(ValueError):
    """A row that is not well-formed."""


def parse_row(line: bytes) -> dict[str, str]:
    """The attributes of a single <row .../>; raises RowError if it is not well-formed XML.

    >>> parse_row(b'<row Id="4" Title="a &lt; b" />')
    {'Id': '4', 'Title': 'a < b'}
    """
    return parse_counted(line)[0]


def parse_counted(line: bytes) -> tuple[dict[str, str], int]:
    """As parse_row, with the number of forbidden characters that were removed.

    >>> parse_counted(b'<row Id="4" Title="a&#x8;b" />')
    ({'Id': '4', 'Title': 'ab'}, 1)
    """
    row = _parse_as_written(line)
    if row:
        return row, 0
    allowed, removed = _FORBIDDEN.subn(b"", line)
    references = sum(not _is_allowed(each) for each in _REFERENCE.finditer(allowed))
    if references:
        allowed = _REFERENCE.sub(lambda each: each[0] if _is_allowed(each) else b"", allowed)
    return _parse_any(allowed), removed + references


def _is_allowed(reference: re.Match[bytes]) -> bool:
    """Whether XML allows the character of a reference such as &#x41; or &#65;; the parser refuses other numbers."""
    code = int(reference[1], 16) if reference[1] else int(reference[2])
    if code < 0x20:
        return code in (0x9, 0xA, 0xD)
    return not 0xD800 <= code < 0xE000 and code not in (0xFFFE, 0xFFFF)


def _parse_as_written(line: bytes) -> dict[str, str] | None:
    """The attributes of a row in the exact format of the dumps; None for any other.

    Takes a sixth of the XML parser's time: it splits at quotation marks, which values contain only as references.
    """
    # U+FFFE and U+FFFF are forbidden, too; one byte is looked for much faster than two
    if len(line.translate(None, _CONTROLS)) < len(line) or (b"\xef" in line and b"\xef\xbf" in line):
        return None
    try:
        *pieces, end = line.decode().split('"')
    except UnicodeDecodeError:
        return None
    names, values = pieces[::2], pieces[1::2]
    try:
        row = {_FIELDS[name]: value for name, value in zip(names, values, strict=True)}
    except (KeyError, ValueError):
        return None
    begins = bool(names) and names[0].startswith("<")
    if not begins or line.count(b"<") > 1 or end.strip(" ") != "/>" or len(row) < len(names):
        return None
    for name, value in row.items():
        if "&" in value:
            text = _unescape(value)
            if text is None:
                return None
            row[name] = text
    return row


def _unescape(value: str) -> str | None:
    """The value with its references resolved; None if it has references that dumps do not use."""
    value = value.replace("&lt;", "<").replace("&gt;", ">").replace("&#xA;", "\n").replace("&quot;", '"')
    if "&" not in value:
        return value
    if value.count("&") > value.count("&amp;"):
        value = value.replace("&#xD;", "\r").replace("&#x9;", "\t").replace("&apos;", "'")
        if value.count("&") > value.count("&amp;"):
            return None
    return value.replace("&amp;", "&")


def _parse_any(line: bytes) -> dict[str, str]:
    elements: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = lambda name, attributes: elements.append((name, attributes))
    parser.StartDoctypeDeclHandler = _refuse_declaration
    try:
        parser.Parse(line, True)
    except expat.ExpatError as error:
        raise RowError(str(error)) from None
    (name, attributes), *inner = elements
    if name != "row" or inner:
        raise RowError(f"expected one <row .../>, found <{name}>" + (" with elements inside" if inner else ""))
    return attributes


def _refuse_declaration(*_: object) -> None:
    raise RowError("declares a document type")
