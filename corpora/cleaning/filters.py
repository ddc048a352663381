"""Which posts stay: each filter gives the reason for which a post is left out, or None."""

import re
from collections.abc import Callable
from functools import cache

from datatrove.data import Document

from corpora.config import CorpusConfig
from corpora.post import whole_text
from stackbert.core.errors import StackbertError

Filter = Callable[[Document], str | None]

MIN_JUDGED = 40  # letters; the language of less is a guess
MAX_JUDGED = 400  # letters; more take time and tell no more
_WORD = re.compile(r"[^\W\d_]{2,}")
# What the site adds, and what people write at any post's end; a line that holds no more than this says nothing.
_NOTICE = re.compile(
    r"\s*(?:>\s*)?(?:\**(?:possible duplicate|this question already has (?:an )?answers?(?: here)?)\b[^\n]*"
    r"|(?:many |kind )?(?:thanks|thank you|thx|regards|cheers|hi|hello|hey|edit|update)(?: all| everyone| guys"
    r"| in advance|(?: so| very)? much| a lot)*|any help (?:would be |is )?(?:greatly |much )?appreciated)[\s.,:!)\-]*",
    re.IGNORECASE,
)


def chosen_filters(config: CorpusConfig) -> list[Filter]:
    """The filters that the configuration asks for, in the order in which they are asked."""
    filters: list[Filter] = []
    if config.drop_closed:
        filters.append(_closed)
    if config.min_score is not None:
        filters.append(_score_filter(config.min_score))
    filters.append(_length_filter(config.min_characters))
    if config.languages:
        filters.append(_language_filter(config.languages))
    return filters


def _closed(post: Document) -> str | None:
    return "closed" if post.metadata["closed"] else None


def _score_filter(minimum: int) -> Filter:
    def low_score(post: Document) -> str | None:
        score = post.metadata["score"]
        return "low_score" if score is not None and score < minimum else None

    return low_score


def _length_filter(minimum: int) -> Filter:
    """Too short, as a whole or without what says nothing."""

    def too_short(post: Document) -> str | None:
        metadata = post.metadata
        text = whole_text(metadata["kind"], metadata["title"], post.text)
        if len(text) < minimum:
            return "too_short"
        if len(text) < 4 * minimum + 200 and own_characters(text) < minimum:  # longer ones are never all notices
            return "boilerplate"
        return None

    return too_short


def own_characters(text: str) -> int:
    """Characters of a text without notices, thanks and lines said before.

    >>> own_characters("Thanks in advance!\\nYes\\nYes")
    3
    """
    return sum(len(line) for line in dict.fromkeys(text.split("\n")) if not _NOTICE.fullmatch(line))


def _language_filter(languages: tuple[str, ...]) -> Filter:
    identify = _identifier()

    def other_language(post: Document) -> str | None:
        words = " ".join(_WORD.findall(post.metadata.get("prose") or post.text))
        if len(words) < MIN_JUDGED:
            return None
        return None if identify(words[:MAX_JUDGED]) in languages else "other_language"

    return other_language


@cache
def _identifier() -> Callable[[str], str]:
    try:
        from py3langid import classify
    except ImportError:
        raise StackbertError("languages needs the package py3langid: pip install 'stackbert[languages]'") from None
    return lambda text: str(classify(text)[0])
