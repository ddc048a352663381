"""What becomes of a source's rows, as the steps of a part would have it."""

from collections.abc import Iterable

from corpora.build.steps import clean_post
from corpora.cleaning.filters import chosen_filters
from corpora.config import CorpusConfig
from corpora.post import SCHEMA, Post
from corpora.sources.source import Dropped, Outcome, Source, Stream

Made = Post | Dropped


def made(outcomes: Iterable[Outcome], config: CorpusConfig) -> list[Made]:
    """The posts that stay, and the rows that do not with their reasons."""
    results: list[Made] = []
    for outcome in outcomes:
        if isinstance(outcome, Dropped):
            results.append(outcome)
            continue
        clean_post(outcome, config)
        reason = next(filter(None, (reason_of(outcome) for reason_of in chosen_filters(config))), None)
        values = {name: outcome.metadata[name] for name in SCHEMA.names if name not in ("id", "text")}
        results.append(Dropped(reason) if reason else Post(id=outcome.id, text=outcome.text, **values))
    return results


def made_of(source: Source, config: CorpusConfig) -> list[Made]:
    """The same of all the rows of a source."""
    rows = source.rows
    parts = rows.read() if isinstance(rows, Stream) else map(rows.read, range(rows.count))
    return [outcome for part in parts for outcome in made(source.parse(part), config)]
