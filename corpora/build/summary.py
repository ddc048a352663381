"""The summary of a build: how the source was read, what its posts have, and the first ones as they were understood."""

import sys
import textwrap
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from corpora.build.contents import Contents
from corpora.config import CorpusConfig
from corpora.post import Post, read_posts, shards
from corpora.post_columns import count_tags
from stackbert.core.printing import columns, printable

WIDTH = 80  # columns of a terminal
SHOWN_POSTS = 3
SHOWN_TAGS = 8
SHOWN_TAG_WIDTH = 30
MOSTLY_EMPTY = 0.5  # share of posts from which on an empty column is a warning
HINTED = 3  # groups of tags that a hint lists
NO_VALUE_SHARE = 0.03  # of the tags; Stack Overflow has the tags 'null' and 'nan', but few posts
NO_VALUE = frozenset(("nan", "none", "null", "na", "n/a", "<na>", "nat", "#n/a", "-"))


def summarize(
    folder: Path, contents: Contents, notes: Sequence[str], config: CorpusConfig, synonyms: Mapping[str, str]
) -> dict[str, Any]:
    """Print the summary of the finished posts in `folder`, warnings on stderr; returns the counts for the manifest."""
    tags = count_tags(shards(folder))
    frequent = sorted(tags, key=lambda tag: (-tags[tag], tag))[:SHOWN_TAGS]
    lines = [_shares(contents), *_formats(contents, config), *notes]
    if tags:
        named = ", ".join(f"{_cut(tag, SHOWN_TAG_WIDTH)} {tags[tag]:,}" for tag in frequent)
        lines.append(f"tags: {len(tags):,} different, most frequent: {named}")
    for line in lines:
        print(textwrap.fill(printable(line), WIDTH, subsequent_indent="  "))
    for post in islice(read_posts(folder), SHOWN_POSTS):
        print(*_post_lines(post), sep="\n")
    for line in [*_warnings(contents, config), *_unused(synonyms, tags, config), *_hints(tags, config)]:
        print(printable(line), file=sys.stderr)
    return {"contents": contents.counts(), "tags": {tag: tags[tag] for tag in frequent}, "read_as": list(notes)}


def _shares(contents: Contents) -> str:
    without = {
        "title": (contents.no_title, contents.titled),
        "body": (contents.no_body, contents.posts),
        "tags": (contents.no_tags, contents.titled),
        "date": (contents.no_date, contents.posts),
    }
    shares = ", ".join(f"{name} {_percent(count, of)}" for name, (count, of) in without.items())
    return f"posts read without: {shares}"


def _formats(contents: Contents, config: CorpusConfig) -> list[str]:
    bodies = contents.posts - contents.no_body
    if not bodies:
        return []
    found = {"HTML": contents.html, "Markdown or plain text": bodies - contents.html}
    shares = ", ".join(f"{_percent(count, bodies)} {name}" for name, count in found.items() if count)
    return [f"bodies: {shares}, with format '{config.format}'"]


def _post_lines(post: Post) -> list[str]:
    """A post as it was understood, one line for each of its fields."""
    body = post.text.partition("\n")[0]
    fields = {
        "id": post.id,
        "title": post.title,
        "body": body + (" …" if len(body) < len(post.text) else ""),
        "tags": ", ".join(post.tags),
        "date": post.created or "",
    }
    shown = [_cut(f"{name:<7}{value}", WIDTH - 2) for name, value in fields.items() if value or name != "date"]
    return [f"{'- ' if number == 0 else '  '}{line}" for number, line in enumerate(shown)]


def _warnings(contents: Contents, config: CorpusConfig) -> list[str]:
    empty = {
        "title_column": (contents.no_title, contents.titled, "titles"),
        "body_column": (contents.no_body, contents.posts, "bodies"),
        "tags_column": (contents.no_tags, contents.titled, "tags"),
        "date_column": (contents.no_date, contents.posts, "dates"),
    }
    return [
        f"warning: {_percent(count, of)} of the posts have no {what}: "
        + (
            f"their ids are not in {config.tags_path}; is it the right table?"
            if field == "tags_column" and config.tags_path
            else f"column '{getattr(config, field)}' for {field} is mostly empty; is it the right one?"
        )
        for field, (count, of, what) in empty.items()
        if getattr(config, field) and count > MOSTLY_EMPTY * of
    ]


def _unused(synonyms: Mapping[str, str], tags: Counter[str], config: CorpusConfig) -> list[str]:
    """A warning where the posts cannot have had any tag that the synonyms replace."""
    if not tags or not synonyms or any(target in tags for target in synonyms.values()):
        return []
    source, target = next(iter(synonyms.items()))
    return [
        f"warning: no tag is replaced by {config.tag_synonyms}, which has {source!r} -> {target!r} first: are its tags "
        "written as those of the posts?"
    ]


def _hints(tags: Counter[str], config: CorpusConfig) -> list[str]:
    """Tags that differ in case alone, and tags that seem to stand for a missing value."""
    hints = []
    spellings = defaultdict(list)
    for tag in tags:
        spellings[tag.lower()].append(tag)
    groups = [names for names in spellings.values() if len(names) > 1]
    if groups:
        groups.sort(key=lambda names: -sum(tags[name] for name in names))
        listed = "; ".join(
            ", ".join(f"{_cut(name, SHOWN_TAG_WIDTH)} {tags[name]:,}" for name in sorted(names))
            for names in groups[:HINTED]
        )
        hints.append(
            f"hint: {len(groups):,} tags have several spellings, which count as different tags: {listed}; "
            "set tags_case to 'lower' to count them as one"
        )
    frequent = NO_VALUE_SHARE * tags.total()
    missing = [tag for tag in tags if tag.lower() in NO_VALUE and tags[tag] > frequent]
    if missing:
        listed = ", ".join(f"{tag!r} {tags[tag]:,}" for tag in missing)
        hints.append(f"hint: {listed} is read as a tag; if it stands for 'no tag', make these cells empty")
    return hints


def _percent(count: int, of: int) -> str:
    """A share in whole percent; never 0 % or 100 % for a part."""
    if not of or count in (0, of):
        return "100 %" if of and count else "0 %"
    share = 100 * count / of
    return "<1 %" if share < 1 else ">99 %" if share > 99 else f"{share:.0f} %"


def _cut(text: str, width: int) -> str:
    """The text on one line of at most `width` columns."""
    text = printable(text[: 4 * width])
    if columns(text) <= width:
        return text
    while columns(text) > width - 1:
        text = text[:-1]
    return f"{text}…"
