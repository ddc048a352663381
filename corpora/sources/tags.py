"""Parses the tags of a dump."""

import re
from functools import lru_cache

_ANGLE = re.compile(r"(?:<[^<>]++>)++")
_PIPE = re.compile(r"\|(?:[^|<>]++\|)++")
_ONE = re.compile(r"[^\s|<>,;]++")
_TAG = re.compile(r"[^|<>]++")


class TagsError(ValueError):
    """Tags in a notation that no dump has."""


@lru_cache(maxsize=4_096)  # a few sets of tags occur on many posts
def dump_tags(text: str) -> tuple[str, ...]:
    """Tags in their order, without repetitions, in one of the two notations of dumps.

    >>> dump_tags("<c#><linq>"), dump_tags("|c#|linq|"), dump_tags("linq"), dump_tags("")
    (('c#', 'linq'), ('c#', 'linq'), ('linq',), ())
    """
    text = text.strip()
    if text and not (_ANGLE.fullmatch(text) or _PIPE.fullmatch(text) or _ONE.fullmatch(text)):
        if text.strip("<>|"):
            raise TagsError(f"Tags should be <a><b> or |a|b|, not {text[:80]!r}")
        return ()
    return tuple(dict.fromkeys(tag for tag in map(str.strip, _TAG.findall(text)) if tag))
