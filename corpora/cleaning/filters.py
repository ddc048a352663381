"""Filters: each returns the reason why it drops a post, or None."""

import re
from collections.abc import Callable
from functools import cache

from corpora.config import CorpusConfig
from corpora.post import whole_text
from corpora.raw_post import RawPost
from stackbert.core.errors import StackbertError

Filter = Callable[[RawPost], str | None]

MIN_LANGUAGE_CHARACTERS = 40  # the language of a shorter text is uncertain, so it is kept
MAX_LANGUAGE_CHARACTERS = 400  # a longer text takes more time and is identified no better
_WORD = re.compile(r"[^\W\d_]{2,}")
# Notices that the site adds, greetings and thanks: a line that holds nothing else is boilerplate.
_NOTICE = re.compile(
    r"\s*(?:>\s*)?(?:\**(?:possible duplicate|this question already has (?:an )?answers?(?: here)?)\b[^\n]*"
    r"|(?:many |kind )?(?:thanks|thank you|thx|regards|cheers|hi|hello|hey|edit|update)(?: all| everyone| guys"
    r"| in advance|(?: so| very)? much| a lot)*|any help (?:would be |is )?(?:greatly |much )?appreciated)[\s.,:!)\-]*",
    re.IGNORECASE,
)


def chosen_filters(config: CorpusConfig) -> list[Filter]:
    """The configured filters, in the order in which they are applied."""
    filters: list[Filter] = []
    if config.drop_closed:
        filters.append(_closed)
    if config.min_score is not None:
        filters.append(_score_filter(config.min_score))
    filters.append(_length_filter(config.min_characters))
    if config.languages:
        filters.append(_language_filter(config.languages))
    return filters


def _closed(post: RawPost) -> str | None:
    return "closed" if post.closed else None


def _score_filter(minimum: int) -> Filter:
    def low_score(post: RawPost) -> str | None:
        score = post.score
        return "low_score" if score is not None and score < minimum else None

    return low_score


def _length_filter(minimum: int) -> Filter:
    """Drops posts that are too short, as a whole or without boilerplate."""

    def too_short(post: RawPost) -> str | None:
        text = whole_text(post.kind, post.title, post.text)
        if len(text) < minimum:
            return "too_short"
        if len(text) < 4 * minimum + 200 and own_characters(text) < minimum:  # a longer text is never boilerplate alone
            return "boilerplate"
        return None

    return too_short


def own_characters(text: str) -> int:
    """Characters of a text without notices, thanks and repeated lines.

    >>> own_characters("Thanks in advance!\\nYes\\nYes")
    3
    """
    return sum(len(line) for line in dict.fromkeys(text.split("\n")) if not _NOTICE.fullmatch(line))


def _language_filter(languages: tuple[str, ...]) -> Filter:
    identify = _identifier()

    def other_language(post: RawPost) -> str | None:
        words = " ".join(_WORD.findall(post.prose or post.text))
        if len(words) < MIN_LANGUAGE_CHARACTERS:
            return None
        return None if identify(words[:MAX_LANGUAGE_CHARACTERS]) in languages else "other_language"

    return other_language


@cache
def _identifier() -> Callable[[str], str]:
    try:
        from py3langid import classify
    except ImportError:
        raise StackbertError("languages needs the package py3langid: pip install 'stackbert[languages]'") from None
    return lambda text: str(classify(text)[0])
