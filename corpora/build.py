"""Stage 'corpora build': a source in; clean posts without duplicates out."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from corpora.artifact import Manifest, build_artifact
from corpora.balance import Balance
from corpora.config import CorpusConfig
from corpora.dump import dump_source
from corpora.duplicates import SeenKeys, exact_key
from corpora.errors import StackbertError
from corpora.links import Links, load_links
from corpora.packages import packages_source
from corpora.post import Post, write_posts
from corpora.source import BAD_ROW, Dropped, Source
from corpora.synonyms import apply_synonyms, load_synonyms
from corpora.tables import HUB, table_source
from corpora.workers import map_in_order

STAGE = "corpora build"
REJECTED = "rejected.jsonl"
ENOUGH_TO_JUDGE = 1_000  # rows set aside before a hopeless file is given up early
LISTED = 3  # rows set aside that an error shows


def build_corpus(out: Path, config: CorpusConfig, data: Path = Path(".")) -> Manifest:
    """Read, clean and filter the posts of `config.source` into the folder `out`; a relative path is below `data`.

    Rows that cannot be read are listed in rejected.jsonl with place and reason. Raises StackbertError where the
    source is missing, holds no post, or has more unreadable rows than config.max_rejected_share.
    """
    source = open_source(config, data)
    lists = {name: data / getattr(config, name) for name in ("tag_synonyms", "post_links") if getattr(config, name)}
    # The number of processes changes nothing in the output, so a rerun with another one is the same artifact.
    return build_artifact(
        out,
        STAGE,
        replace(config, processes=0),
        {**source.inputs, **lists},
        lambda folder: _build(folder, source, config, lists),
    )


def open_source(config: CorpusConfig, data: Path) -> Source:
    """The configured source, not yet read."""
    if config.source == "packages":
        return packages_source(config)
    path = data / config.path
    if not config.path.startswith(HUB) and not path.exists():
        raise StackbertError(f"{path}: no such file; it is the path of source '{config.source}'")
    if config.source == "dump":
        return dump_source(path, config)
    return table_source(path, config, data / config.tags_path if config.tags_path else None)


def _build(folder: Path, source: Source, config: CorpusConfig, lists: Mapping[str, Path]) -> dict[str, Any]:
    """The stage's work; returns the manifest's counts."""
    synonyms = load_synonyms(lists["tag_synonyms"]) if "tag_synonyms" in lists else {}
    links = load_links(lists["post_links"]) if "post_links" in lists else None
    balance, totals = Balance("corpus"), {"characters": 0}
    with _Rejections(folder / REJECTED) as rejections:
        posts = _kept_posts(source, config, balance, rejections)
        written = write_posts(_counted(_marked(posts, synonyms, links), totals), folder)
    print(balance)
    rejections.check(balance, config)
    if not written:
        raise StackbertError(f"{config.path or config.source}: no post was kept ({balance})")
    assert written == balance.kept
    return balance.counts() | totals


def _kept_posts(source: Source, config: CorpusConfig, balance: Balance, rejections: "_Rejections") -> Iterator[Post]:
    """The posts that stay, in the source's order; everything else is counted."""
    seen = SeenKeys()
    for outcomes in map_in_order(source.parse, source.chunks(), config.processes):
        for outcome in outcomes:
            if isinstance(outcome, Dropped):
                balance.drop(outcome.reason)
                if outcome.reason == BAD_ROW:
                    rejections.add(outcome, balance, config)
            elif not seen.add(exact_key(outcome.whole_text)):
                balance.drop("duplicate")
            else:
                balance.keep()
                yield outcome


def _marked(posts: Iterator[Post], synonyms: Mapping[str, str], links: Links | None) -> Iterator[Post]:
    """The posts with their tags in the form the site prefers, and what they were closed as duplicates of."""
    for post in posts:
        if synonyms and post.tags:
            post = replace(post, tags=apply_synonyms(post.tags, synonyms))
        if links and post.kind == "question":
            post = replace(post, duplicate_of=links.targets(post.id))
        yield post


def _counted(posts: Iterator[Post], totals: dict[str, int]) -> Iterator[Post]:
    for post in posts:
        totals["characters"] += len(post.whole_text)
        yield post


class _Rejections:
    """The rows set aside, as a file that exists only where there are any."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self._first: list[Dropped] = []

    def __enter__(self) -> "_Rejections":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def add(self, row: Dropped, balance: Balance, config: CorpusConfig) -> None:
        """Write a row; gives up where most of the first thousand rows cannot be read."""
        if self._file is None:
            self._file = self._path.open("w", encoding="utf-8")
        self._file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
        self._first += [row] if len(self._first) < LISTED else []
        rejected = balance.dropped[BAD_ROW]
        if rejected % ENOUGH_TO_JUDGE == 0 and rejected > balance.read / 2:
            self.check(balance, config)

    def check(self, balance: Balance, config: CorpusConfig) -> None:
        """Raise StackbertError where more rows are set aside than the configuration allows."""
        rejected = balance.dropped[BAD_ROW]
        if rejected <= config.max_rejected_share * balance.read:
            return
        listed = "".join(f"\n  {row.where}: {row.detail}: {row.excerpt[:80]!r}" for row in self._first)
        raise StackbertError(
            f"{config.path or config.source}: {rejected:,} of {balance.read:,} rows cannot be read, more than the "
            f"{config.max_rejected_share:.2%} allowed; the first:{listed}\n"
            "Repair the file, or raise max_rejected_share to go on without them"
        )
