"""Builds the parts of a corpus: read, clean, apply tags and links, filter, write.

A part is a piece of the source that one worker builds. Its posts pass through generators one at a time, so memory stays
at a row group whatever the size of the corpus. Rows and posts that are dropped go to the part's writer, which counts
them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora.batches import batches
from corpora.build.part import PartWriter, part_folder
from corpora.build.step import Step
from corpora.cleaning.cleaning import clean_text, clean_title, found_format, html_to_texts
from corpora.cleaning.filters import chosen_filters
from corpora.config import CorpusConfig
from corpora.raw_post import RawPost
from corpora.sources.post_links import open_links
from corpora.sources.source import Dropped, Outcome, Source, Stream
from corpora.sources.tag_synonyms import apply_synonyms, lower_tags
from corpora.text_keys import exact_key
from stackbert.core.workers import map_in_order

POSTS_TOGETHER, CHARACTERS_TOGETHER = 64, 100_000  # cleaned at once; more are no faster


@dataclass(frozen=True)
class PartJob:
    """What the building of every part needs; can be pickled for other processes."""

    folder: Path
    """Folder of all parts."""
    source: Source
    config: CorpusConfig
    synonyms: dict[str, str] = field(default_factory=dict)
    """Tag -> the tag that replaces it."""
    links: Path | None = None
    """Folder written by save_links."""


def build_part(job: PartJob, number: int, rows: Iterable[Any]) -> PartWriter:
    """Build one part from its rows, whole or not at all; returns its writer, which holds the counts."""
    with PartWriter(job.folder, number, job.config.keep_dropped) as writer:
        outcomes = _clean(job.source.parse(rows), job.config)
        posts = _read(outcomes, writer)
        posts = _annotate(posts, job, writer)
        posts = _count(posts, writer)
        posts = _filter(posts, job.config, writer)
        for post in posts:
            writer.add(post)
        writer.finish()
    return writer


def _clean(outcomes: Iterable[Outcome], config: CorpusConfig) -> Iterator[Outcome]:
    for batch in batches(outcomes, _length, POSTS_TOGETHER, CHARACTERS_TOGETHER):
        clean_posts([outcome for outcome in batch if isinstance(outcome, RawPost)], config)
        yield from batch


def _length(outcome: Outcome) -> int:
    return len(outcome.text) if isinstance(outcome, RawPost) else 0


def clean_posts(posts: Sequence[RawPost], config: CorpusConfig) -> None:
    """Clean titles and bodies in place; the format becomes the one found, a missing id one made from the content."""
    for post in posts:
        post.format = found_format(post.text, post.format)
    in_html = [post for post in posts if post.format == "html"]
    bodies = [post.text for post in in_html]
    for post, text in zip(in_html, html_to_texts(bodies, config.code), strict=True):
        post.text = text
    if config.languages:
        for post, prose in zip(in_html, html_to_texts(bodies, "drop"), strict=True):
            post.prose = prose
    for post in posts:
        if post.format != "html":
            post.text = clean_text(post.text)
        if post.title:
            post.title = clean_title(post.title)
        post.id = post.id or "content-" + exact_key(f"{post.title}\n{post.text}").hex()


def _read(outcomes: Iterable[Outcome], writer: PartWriter) -> Iterator[RawPost]:
    for outcome in outcomes:
        if isinstance(outcome, Dropped):
            writer.drop(outcome)
        else:
            writer.removed_characters += outcome.removed
            yield outcome


def _annotate(posts: Iterable[RawPost], job: PartJob, writer: PartWriter) -> Iterator[RawPost]:
    """Apply case and synonyms of tags, attach duplicate links, and record questions for their answers."""
    links = open_links(job.links) if job.links else None
    for post in posts:
        if job.config.tags_case == "lower":
            post.tags = lower_tags(post.tags)
        if job.synonyms and post.tags:
            post.tags = apply_synonyms(post.tags, job.synonyms)
        if post.kind == "question":
            if links:
                post.duplicate_of = links.targets(post.id)
            writer.record_question(post)
        yield post


def _count(posts: Iterable[RawPost], writer: PartWriter) -> Iterator[RawPost]:
    """Count what the posts have, before any is dropped."""
    for post in posts:
        writer.contents.add(post)
        yield post


def _filter(posts: Iterable[RawPost], config: CorpusConfig, writer: PartWriter) -> Iterator[RawPost]:
    """Drop each post for the first reason that a filter gives."""
    filters = chosen_filters(config)
    for post in posts:
        for reason_of in filters:
            if reason := reason_of(post):
                writer.drop_post(reason, post)
                break
        else:
            yield post


class BuildParts(Step):
    """Task N builds part N; for sources whose parts can be read independently."""

    name = "build parts"

    def __init__(self, job: PartJob) -> None:
        super().__init__()
        self.job = job

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Build part `rank`, and report its counts to datatrove."""
        rows = self.job.source.rows
        assert not isinstance(rows, Stream)
        written = build_part(self.job, rank, rows.read(rank))
        self.stat_update("kept", value=written.kept)
        for reason, count in written.dropped.items():
            self.stat_update(reason, value=count)
        yield from ()


class BuildStreamParts(Step):
    """One task that reads a stream and has other processes build its parts; skips parts that are finished."""

    name = "build parts of a stream"

    def __init__(self, job: PartJob) -> None:
        super().__init__()
        self.job = job

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Read the whole stream."""
        rows = self.job.source.rows
        assert isinstance(rows, Stream)
        numbered = enumerate(rows.read())
        parts = ((self.job, number, part) for number, part in numbered if not self._is_finished(number))
        for _ in map_in_order(_build_part, parts, self.job.config.processes, waiting=1):
            pass
        yield from ()

    def _is_finished(self, number: int) -> bool:
        return part_folder(self.job.folder, number).is_dir()


def _build_part(work: tuple[PartJob, int, list[Any]]) -> None:
    build_part(*work)
