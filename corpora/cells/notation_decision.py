"""Decides the notation of a column of tags from a sample of it; what cannot be decided is refused, never guessed."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from corpora.cells.tag_notations import (
    EMPTY,
    LISTS,
    NO_LIST,
    SEPARATORS,
    SHOWN,
    bounded_pipes,
    is_list_like,
    is_numbers,
)
from corpora.cells.tags import separators_fit
from corpora.cells.value import CellError, shown
from corpora.config import TagsFormat

MAX_CONTRADICTING = 0.1  # of the rows with tags: more is not an exception
MIN_ROWS = 20  # fewer rows show nothing about which words stand together
MIN_TEXTS = 3  # different ones, likewise
FREQUENT, MIN_FREQUENT = 5, 5  # different texts with a word, from which on it is frequent; and frequent words
RARE = 0.1  # share of the rows with a separator, below which it may stand in a few names
OTHER_SEPARATORS = ("/", "::", "&", "+", "#", "\\", "^", "~")
REPEATED = 2  # rows a text, from which on texts are names of classes rather than combinations of tags


@dataclass(frozen=True)
class _Pieces:
    """What the pieces of a column's texts show, if they are split at a separator."""

    texts: int
    """Different texts with the separator."""
    rows: int
    """Rows with such a text."""
    all_rows: int
    known: float
    """Share of the different pieces of these texts that occur in two different texts."""
    alone: float
    """Share of the different pieces that are also a whole text."""
    repeated: float
    """Share of these texts that hold a piece twice; in prose, a fifth."""


def decide_notation(texts: Iterable[str], one_a_row: bool = False) -> tuple[TagsFormat | None, bool]:
    """The notation of these texts, and whether a single tag may hold spaces; None if all texts are empty.

    With `one_a_row`, as in a second table of tags, a text without brackets is one tag. Raises CellError if two
    readings are possible.

    >>> decide_notation(["python|sql server", "java"])
    ('pipe', True)
    """
    counts = Counter(text for text in map(str.strip, texts) if text and text not in EMPTY)
    if not counts:
        return None, True
    values = Counter({text: count for text, count in counts.items() if text not in NO_LIST})
    if sum(count for text, count in values.items() if is_list_like(text)) > values.total() / 2:
        return _decide_list(values), True
    return _decide_separator(counts, one_a_row)


def _decide_list(counts: Counter[str]) -> TagsFormat:
    odd = {name: {text: n for text, n in counts.items() if parse(text) is None} for name, parse in LISTS.items()}
    name = min(odd, key=lambda name: sum(odd[name].values()))  # of equal ones the first, which is the most specific
    only_numbers = name == "brackets" and all(map(is_numbers, counts))
    only_missing = name in ("json", "python") and not any(LISTS[name](text) for text in counts)  # [nan] may be a tag
    if only_numbers or only_missing or sum(odd[name].values()) > MAX_CONTRADICTING * counts.total():
        known = ", ".join(SHOWN[each] for each in LISTS)
        raise CellError(
            f"{shown(next(iter(odd[name] or counts)))}, a list in an unknown notation; the known ones are {known}"
        )
    if name == "brackets":
        inner = Counter[str]()
        for text, count in counts.items():
            inner[text[1:-1].strip()] += count
        if not any("," in text for text in inner) and any(" " in text for text in inner):
            _decide_spaces(inner, ("brackets",))
    return name  # type: ignore[return-value]


def _decide_separator(counts: Counter[str], one_a_row: bool) -> tuple[TagsFormat, bool]:
    found = [name for name, sign in SEPARATORS.items() if name != "space" and any(sign in text for text in counts)]
    if one_a_row:
        _refuse_contradictions(counts, "single", ("single", *found))
        return "single", True
    if not found:
        _refuse_other_separators(counts)
        if not any(" " in text for text in counts):
            return "single", False
        return _decide_spaces(counts, ("single", "space"))
    name = min(found, key=lambda name: sum(_contradicting(counts, name).values()))
    _refuse_contradictions(counts, name, (*found, "single"))
    pieces = _pieces(counts, SEPARATORS[name])
    recurring = name in ("comma", "semicolon") and pieces.rows >= REPEATED * pieces.texts
    is_rare = pieces.rows < RARE * pieces.all_rows
    if pieces.all_rows >= MIN_ROWS and (recurring or is_rare) and pieces.known <= 0.3:  # names that hold the sign
        raise _undecided(next(text for text in counts if SEPARATORS[name] in text), ("single", name))
    return name, True  # type: ignore[return-value]


def _decide_spaces(counts: Counter[str], readings: tuple[str, ...]) -> tuple[TagsFormat, bool]:
    """Whether spaces separate tags or stand in them, from whether the words occur alone and in other combinations."""
    if all(word[0] in "#@" for text in counts for word in text.split()):
        return "space", True
    pieces = _pieces(counts, " ")
    if not pieces.repeated and _are_combined(counts):
        if "space" in readings:
            return "space", True
    elif pieces.all_rows >= MIN_ROWS and len(counts) >= MIN_TEXTS and pieces.rows >= REPEATED * pieces.texts:
        others = 1 - pieces.rows / pieces.all_rows  # rows of one word
        if pieces.known <= 0.2 or (not pieces.alone and others >= 0.1):
            return "single", True
    raise _undecided(next(text for text in counts if " " in text), readings)


def _refuse_other_separators(counts: Counter[str]) -> None:
    """Raise CellError if a sign that no notation has seems to separate tags; in 'area/core', it stands in a name."""
    for sign in (*(f" {sign} " for sign in OTHER_SEPARATORS), *OTHER_SEPARATORS):  # 'c++ + java' has both
        if _are_combined(counts, sign):
            text = next(text for text in counts if sign in text)
            raise CellError(
                f"{shown(text)}, which seems to be several tags; set tags_separator to {sign!r}, "
                "or tags_format to single"
            )


def _are_combined(texts: Iterable[str], separator: str | None = None) -> bool:
    """Whether the frequent words are tags: they stand alone, and first, between and last; words of names do not.

    Of 1,000 questions on Stack Overflow, 0.5 of the frequent tags stand alone and 0.95 change their place.
    """
    places, number, alone = defaultdict[str, set[int]](set), Counter[str](), set[str]()
    for text in texts:
        words = [word.strip() for word in text.split(separator) if word.strip()]
        number.update(words)
        if len(words) == 1:
            alone.add(words[0])
        for index, word in enumerate(words):
            places[word].add(0 if index == 0 else 2 if index == len(words) - 1 else 1)
    frequent = [word for word, count in number.items() if count >= FREQUENT]
    total = sum(number[word] for word in frequent)
    standing = sum(number[word] for word in frequent if word in alone)
    moving = sum(number[word] for word in frequent if len(places[word]) > 1)
    return len(frequent) >= MIN_FREQUENT and standing >= 0.3 * total and moving >= 0.5 * total


def _pieces(counts: Counter[str], separator: str) -> _Pieces:
    split = {text: [piece.strip() for piece in text.split(separator) if piece.strip()] for text in counts}
    several = {text: pieces for text, pieces in split.items() if len(pieces) > 1}
    in_texts = Counter(piece for pieces in split.values() for piece in set(pieces))
    different = {piece for pieces in several.values() for piece in pieces}
    whole = {pieces[0] for pieces in split.values() if len(pieces) == 1}
    return _Pieces(
        texts=len(several),
        rows=sum(counts[text] for text in several),
        all_rows=counts.total(),
        known=sum(in_texts[piece] > 1 for piece in different) / max(1, len(different)),
        alone=len(different & whole) / max(1, len(different)),
        repeated=sum(len(set(pieces)) < len(pieces) for pieces in several.values()) / max(1, len(several)),
    )


def _contradicting(counts: Counter[str], name: str) -> dict[str, int]:
    """The texts that do not fit the notation, with their numbers of rows."""
    return {
        text: count
        for text, count in counts.items()
        if is_list_like(text) or not (separators_fit(text, name) or (name == "pipe" and bounded_pipes(text)))
    }


def _refuse_contradictions(counts: Counter[str], name: str, readings: tuple[str, ...]) -> None:
    odd = _contradicting(counts, name)
    if sum(odd.values()) > MAX_CONTRADICTING * counts.total():
        raise _undecided(next(iter(odd)), readings)


def _undecided(text: str, readings: tuple[str, ...]) -> CellError:
    options = " or ".join(f"{name} ({SHOWN[name]})" for name in dict.fromkeys(readings))
    return CellError(f"{shown(text)}, which can be read in several ways; set tags_format to {options}")
