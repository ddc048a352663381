"""Cleans and filters the rows of a source, as 'corpora build' does for a part."""

from collections.abc import Iterable

from corpora.build.steps import clean_posts
from corpora.cleaning.filters import chosen_filters
from corpora.config import CorpusConfig
from corpora.post import SCHEMA, Post
from corpora.sources.source import Dropped, Outcome, Source, Stream

Made = Post | Dropped


def made(outcomes: Iterable[Outcome], config: CorpusConfig) -> list[Made]:
    """The kept posts, and the dropped rows with their reasons."""
    results: list[Made] = []
    for outcome in outcomes:
        if isinstance(outcome, Dropped):
            results.append(outcome)
            continue
        clean_posts([outcome], config)
        reason = next(filter(None, (reason_of(outcome) for reason_of in chosen_filters(config))), None)
        values = {name: getattr(outcome, name) for name in SCHEMA.names}
        results.append(Dropped(reason) if reason else Post(**values))
    return results


def made_of(source: Source, config: CorpusConfig) -> list[Made]:
    """Like made, for all rows of a source."""
    rows = source.rows
    parts = rows.read() if isinstance(rows, Stream) else map(rows.read, range(rows.count))
    return [outcome for part in parts for outcome in made(source.parse(part), config)]
