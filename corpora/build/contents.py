"""What posts have when they are read: counts for the summary of a build."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from corpora.raw_post import RawPost


@dataclass
class Contents:
    """Numbers of posts as they are read, before filters drop any."""

    posts: int = 0
    titled: int = 0
    """Posts that should have title and tags: all but answers, which have those of their question."""
    no_title: int = 0
    no_tags: int = 0
    no_body: int = 0
    no_date: int = 0
    html: int = 0
    """Bodies that were read as HTML; the others as Markdown or plain text."""

    def add(self, post: RawPost) -> None:
        """Count a post whose text is clean."""
        self.posts += 1
        if post.kind != "answer":
            self.titled += 1
            self.no_title += not post.title
            self.no_tags += not post.tags
        if not post.text:
            self.no_body += 1
        elif post.format == "html":
            self.html += 1
        if not post.created:
            self.no_date += 1

    def counts(self) -> dict[str, int]:
        """The numbers by name."""
        return asdict(self)

    def include(self, counts: dict[str, Any]) -> None:
        """Add the numbers of a part."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + counts.get(field.name, 0))
