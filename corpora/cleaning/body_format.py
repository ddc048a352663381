"""Decides whether a body is HTML, or Markdown or plain text that holds some HTML.

What a body mostly is decides: most of its paragraphs outside of code begin with a block tag, or they do not. HTML in
code or in a quotation is what a text is about, not what it is written in.
"""

import re

# Without one of these, a body is no HTML, whatever it mentions. Possessive quantifiers (*+) read each character once.
_BEGINS = re.compile(
    r"\s*+<(?:p|pre|ul|ol|h[1-6]|blockquote|div|hr|strong|em|b|i|br|!doctype|html|body|table|dl|section|article)\b[^<>]*+>",
    re.IGNORECASE,
)
_PARAGRAPH_ENDS = re.compile(r"</p>(?:[ \t]?\r?(?:\n|\Z))|</code></pre>", re.IGNORECASE)

_PAGE = re.compile(r"\s*+<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_BLOCK = re.compile(
    r"</?(?:p|pre|ul|ol|li|h[1-6]|blockquote|div|hr|br|dl|dt|dd|table|thead|tbody|tr|td|th|section|article|header|footer"
    r"|body|head|html|center|address|main|nav|aside|form|!doctype|!--)(?=[\s/>-])",
    re.IGNORECASE,
)
_INLINE = re.compile(r"</?(?:strong|em|b|i|u|a|code|span|font|small|sub|sup|s|strike|del)(?=[\s/>])", re.IGNORECASE)
_BREAK_ENDS = re.compile(r"<br\s?/?>\Z", re.IGNORECASE)
_FENCE = re.compile(r" {0,3}(```+|~~~+)([^`]*)")
_PRE = re.compile(r"<(/?)pre\b[^<>]*+>", re.IGNORECASE)
_MARKDOWN = re.compile(r"^ {0,3}(?:#{1,6} |[-*+] |[0-9]{1,3}[.)] |> |```|~~~|!?\[[^\]\n]*+\]\()", re.MULTILINE)
_INDENT = ("    ", "\t")  # of Markdown's code


def looks_like_html(body: str) -> bool:
    """Whether the body is written in HTML, rather than a text that mentions it or holds some. Takes linear time.

    >>> looks_like_html("<p>Why?</p>"), looks_like_html("What does <p> mean?")
    (True, False)
    >>> looks_like_html('<p align="center"><img src="logo.png"></p>\\n\\n# Title\\n\\nText')
    False
    """
    if "<" not in body:
        return False
    ends = "</p>" in body or "</P>" in body or "</pre>" in body or "</PRE>" in body
    if not (_BEGINS.match(body) or (ends and _PARAGRAPH_ENDS.search(body))):
        return False
    return _is_clearly_html(body) or _PAGE.match(body) is not None or _is_mostly_html(body)


def _is_clearly_html(body: str) -> bool:
    """Whether counts alone show that _is_mostly_html is true, as for nearly all HTML, in a tenth of its time."""
    if not body.startswith("<p>") or "```" in body or "~~~" in body or "\r" in body:
        return False
    text = body.count("\n\n") - body.count("\n\n<")  # at most
    return text < 1 or text < 1 + body.count("\n\n<p>") + body.count("\n\n<pre>")


def _is_mostly_html(body: str) -> bool:
    """Whether the paragraphs that begin with a block tag, or end with a line break's, are more than the others."""
    html = text = 0
    for paragraph in _without_code(body.replace("\r\n", "\n")).split("\n\n"):
        first = paragraph.lstrip("\n")
        content = first.strip()
        if not content or _INLINE.match(content):
            continue  # either may begin so
        if not _BLOCK.match(content) and not _BREAK_ENDS.search(content):
            text += 1
        elif not first.startswith(_INDENT):
            html += 1
    if html != text:
        return html > text
    return (_BEGINS.match(body) is not None or "</code></pre>" in body) and not _MARKDOWN.search(body)


def _without_code(body: str) -> str:
    """The body with each fenced block of code as one line of text, and each <pre> as a paragraph without content."""
    if "```" in body or "~~~" in body:
        body = "\n".join(_without_fences(body.split("\n")))
    pieces, start, inside = list[str](), 0, False
    for tag in _PRE.finditer(body):
        if not tag[1] and not inside:
            pieces += (
                body[start : tag.start()],
                "\n\n" if tag.start() and body[tag.start() - 1] == "\n" else "",
                tag[0],
            )
            inside = True
        elif tag[1] and inside:
            start, inside = tag.start(), False
    return "".join((*pieces, "" if inside else body[start:]))


def _without_fences(lines: list[str]) -> list[str]:
    kept, fence = list[str](), ""
    for line in lines:
        found = _FENCE.fullmatch(line)
        if fence:
            if found and found[1].startswith(fence) and not found[2].strip():
                fence = ""
        elif found:
            fence = found[1]
            kept += ("", fence, "")
        else:
            kept.append(line)
    return kept
