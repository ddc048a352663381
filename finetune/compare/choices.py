"""What a search tried and chose on dev for each checkpoint: a table, sentences, warnings."""

from collections.abc import Sequence

from finetune.trials.search import Candidate, Search, shown, words_of
from stackbert.core.printing import escape_markdown, markdown_lines
from stackbert.core.progress import duration

CHOICE_TITLE = "Chosen on dev, for each checkpoint"
CHOSEN = "chosen"


def choice_table(searches: Sequence[Search]) -> tuple[list[str], list[list[str]]]:
    """Header and a line for each system: the dev weighted F1 of every candidate, and the time that the search took."""
    header = ["", *(_column(each) for each in searches[0].candidates)] if searches else []
    lines = [[search.name, *map(_cell, search.candidates), duration(search.extra_seconds)] for search in searches]
    return [*header, "further time"], lines


def choice_note(searches: Sequence[Search]) -> str:
    """How the table came about."""
    if not searches:
        return ""
    return (
        f"Dev weighted F1 with seed {searches[0].seed}, from the same candidates for all: of the head alone for a "
        "pooling, then of the whole model for a learning rate with that pooling. All seeds use what was chosen; test "
        "had no part in it. The further time is that of the candidates that were not chosen."
    )


def choice_sentences(searches: Sequence[Search]) -> list[str]:
    """What was chosen, and the cost of it, for the terminal."""
    if not searches:
        return []
    words = "; ".join(f"{search.name} {words_of(search)}" for search in searches)
    tried = sum(len(search.candidates) for search in searches)
    seconds = sum(search.extra_seconds for search in searches)
    return [f"Chosen on dev: {words}. {tried} candidates were tried, in {duration(seconds)} beside the trials above."]


def choice_lines(searches: Sequence[Search]) -> list[str]:
    """The table as a section in Markdown; empty without a search."""
    header, lines = choice_table(searches)
    table = markdown_lines(header, [[escape_markdown(name), *cells] for name, *cells in lines])
    return [f"## {CHOICE_TITLE}\n", table, f"{choice_note(searches)}\n"] if lines else []


def search_warnings(searches: Sequence[Search]) -> list[str]:
    """A warning where the best learning rate is the lowest or highest of three or more, so that one beyond may win."""
    at_end: dict[str, list[str]] = {}
    for search in searches:
        rates = [float(each.value) for each in search.candidates if each.setting == "learning_rate"]
        best = search.chosen.get("learning_rate")
        if len(rates) > 2 and best in (min(rates), max(rates)):
            at_end.setdefault("lowest" if best == min(rates) else "highest", []).append(search.name)
    return [
        f"The {end} learning rate of the search was the best, so that one beyond it may be better: {', '.join(names)}."
        for end, names in at_end.items()
    ]


def _column(candidate: Candidate) -> str:
    return f"{candidate.setting.replace('_', ' ')} {shown(candidate.value)}"


def _cell(candidate: Candidate) -> str:
    return f"{candidate.dev_weighted_f1:.3f}" + (f" ({CHOSEN})" if candidate.chosen else "")
