"""The steps of a corpus as datatrove's: read, clean, mark, filter, write; then across parts: duplicates, and answers.

Documents go through one part at a time (a part is datatrove's rank), so memory stays at a row group, whatever the size
of the corpus. What leaves the stream goes to the part's writer, which counts it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from corpora.build.part import PartWriter, part_folder
from corpora.cleaning.cleaning import clean_body, clean_title, html_to_text
from corpora.cleaning.filters import chosen_filters
from corpora.config import CorpusConfig
from corpora.sources.post_links import open_links
from corpora.sources.source import Dropped, Source, Stream
from corpora.sources.tag_synonyms import apply_synonyms
from corpora.text_keys import exact_key
from stackbert.core.workers import map_in_order

Documents = Iterator[Document]


@dataclass
class Work:
    """What the steps of a part share."""

    folder: Path
    """Of the parts."""
    source: Source
    config: CorpusConfig
    synonyms: dict[str, str] = field(default_factory=dict)
    links: Path | None = None
    """Written by save_links."""
    part: PartWriter | None = None
    """Of the part in work."""

    @property
    def writer(self) -> PartWriter:
        assert self.part, "ReadPosts opens the part"
        return self.part


class PartStep(PipelineStep):
    """A step that works on a part."""

    type = "corpora"

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work


class ReadPosts(PartStep):
    """Yields the documents of a part, not yet cleaned; `data` is the part's rows, or None to read them."""

    name = "read"

    def run(self, data: Iterable[Any] | None, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield them; opens the part."""
        source = self.work.source
        self.work.part = part = PartWriter(self.work.folder, rank, self.work.config.keep_dropped)
        if data is None:
            assert not isinstance(source.rows, Stream)
            data = source.rows.read(rank)
        for outcome in source.parse(data):
            if isinstance(outcome, Dropped):
                part.drop(outcome)
            else:
                yield outcome


class CleanPosts(PartStep):
    """Makes clean text of titles and bodies."""

    name = "clean"

    def run(self, data: Documents, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield them clean."""
        for post in data:
            clean_post(post, self.work.config)
            yield post


def clean_post(post: Document, config: CorpusConfig) -> None:
    """Make clean text of a document's title and body; one without an id gets it from its content."""
    metadata, body = post.metadata, post.text
    if metadata["title"]:
        metadata["title"] = clean_title(metadata["title"])
    post.text = clean_body(body, metadata["format"], config.code)
    if config.languages and metadata["format"] == "html":
        metadata["prose"] = html_to_text(body, "drop")
    post.id = post.id or "content-" + exact_key(f"{metadata['title']}\n{post.text}").hex()


class MarkPosts(PartStep):
    """Gives posts the tags that the site prefers and the questions that they were closed as duplicates of."""

    name = "mark"

    def run(self, data: Documents, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield them marked; notes the questions for their answers."""
        synonyms, links = self.work.synonyms, open_links(self.work.links) if self.work.links else None
        for post in data:
            metadata = post.metadata
            if synonyms and metadata["tags"]:
                metadata["tags"] = apply_synonyms(metadata["tags"], synonyms)
            if metadata["kind"] == "question":
                if links:
                    metadata["duplicate_of"] = links.targets(post.id)
                self.work.writer.note_question(post)
            yield post


class FilterPosts(PartStep):
    """Leaves out what the filters give a reason for."""

    name = "filter"

    def run(self, data: Documents, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield those that stay."""
        filters = chosen_filters(self.work.config)
        for post in data:
            for reason_of in filters:
                reason = reason_of(post)
                if reason:
                    self.work.writer.drop_post(reason, post)
                    break
            else:
                yield post


class WritePart(PartStep):
    """Writes the part, and yields nothing."""

    name = "write"

    def run(self, data: Documents, rank: int = 0, world_size: int = 1) -> Documents:
        """Write them and show the part."""
        try:
            for post in data:
                self.work.writer.add(post)
            part = self.work.writer
            part.finish()
        finally:
            if self.work.part:
                self.work.part.close()
        self.stat_update("kept", value=part.kept)
        for reason, count in part.dropped.items():
            self.stat_update(reason, value=count)
        yield from ()


def part_steps(work: Work) -> list[PipelineStep]:
    """What makes a part of a source's rows."""
    return [ReadPosts(work), CleanPosts(work), MarkPosts(work), FilterPosts(work), WritePart(work)]


class SpreadStream(PartStep):
    """One task that reads a stream and has its parts made by other processes; parts that are there are passed over."""

    name = "spread"

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Documents:
        """Read the whole stream."""
        rows = self.work.source.rows
        assert isinstance(rows, Stream)
        numbered = enumerate(rows.read())
        parts = ((self.work, number, part) for number, part in numbered if not self._is_there(number))
        for _ in map_in_order(_make_part, parts, self.work.config.processes, waiting=1):
            pass
        yield from ()

    def _is_there(self, number: int) -> bool:
        return part_folder(self.work.folder, number).is_dir()


def _make_part(work: tuple[Work, int, list[Any]]) -> None:
    shared, number, rows = work
    data: Any = rows
    for step in part_steps(shared):
        data = step.run(data, number)
    for _ in data:
        pass
