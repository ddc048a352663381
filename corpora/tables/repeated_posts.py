"""Finds tables with one row per post and tag, of which only the first tag of each post would be kept."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from corpora.config import CorpusConfig
from stackbert.core.errors import StackbertError

MAX_REPEATING = 0.1  # share of the first rows, above which a post that stands again with another tag is no exception
SHOWN_TAGS = 3


def refuse_repeated_posts(table: str, rows: Sequence[Mapping[str, Any]], config: CorpusConfig) -> None:
    """Raise StackbertError if the first rows repeat posts, with the same id and text and another tag each."""
    if not (config.id_column and config.tags_column):
        return
    tags_of = defaultdict[tuple[str, ...], list[str]](list)
    for row in rows:
        post = tuple(str(row.get(name)) for name in (config.id_column, config.title_column, config.body_column) if name)
        tags_of[post].append(str(row.get(config.tags_column)))
    repeated = {post: list(dict.fromkeys(tags)) for post, tags in tags_of.items() if len(set(tags)) > 1}
    if sum(len(tags) - 1 for tags in repeated.values()) > MAX_REPEATING * len(rows):
        post, tags = next(iter(repeated.items()))
        raise StackbertError(
            f"{table}: the same post stands in several rows with another tag each: id {post[0]!r} with "
            f"{', '.join(map(repr, tags[:SHOWN_TAGS]))}; set tags_path to this file, too, to join the tags of each post"
        )
