"""Stage 'corpora build': a source -> clean posts without duplicates."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corpora.balance import Balance
from corpora.build.contents import Contents
from corpora.build.exact_duplicates import FindDuplicates, range_count
from corpora.build.executor import Engine
from corpora.build.part import COUNTS, DROPPED, REJECTED, part_folder
from corpora.build.shard import COUNTS_FILE, WriteShard
from corpora.build.steps import BuildParts, BuildStreamParts, PartJob
from corpora.build.summary import summarize
from corpora.config import CorpusConfig
from corpora.sources.dump import dump_source
from corpora.sources.folders import folder_source
from corpora.sources.lines import require_file
from corpora.sources.packages import packages_source
from corpora.sources.post_links import LINKS_FILE, load_links, save_links
from corpora.sources.source import BAD_ROW, Source, Stream, first_parts
from corpora.sources.tag_synonyms import SYNONYMS_FILE, load_synonyms, lower_synonyms
from corpora.tables.arrow_rows import HUB
from corpora.tables.table import table_source
from stackbert.core.artifact import SCRATCH, Manifest, build_artifact
from stackbert.core.errors import StackbertError

STAGE = "corpora build"
LISTED = 3  # bad rows that an error message shows


def build_corpus(out: Path, config: CorpusConfig, data: Path = Path("."), source: Source | None = None) -> Manifest:
    """Read, clean and filter the posts of `config.source` into the folder `out`; a relative path is below `data`.

    `source` is read instead of the configured one, if given: a sample of it, opened before.
    After an interruption, the same call continues with the parts that are not finished. Bad rows are listed in
    rejected.jsonl with byte offset or line and reason. Raises StackbertError if the source is missing, holds no post,
    or has a larger share of bad rows than config.max_rejected_share.
    """
    source = source or open_source(config, data, read_first=not out.exists())
    names = ("tag_synonyms", "post_links", "decontaminate_against")
    lists = {name: data / getattr(config, name) for name in names if getattr(config, name)}
    for name, what in (("tag_synonyms", SYNONYMS_FILE), ("post_links", LINKS_FILE)):
        if name in lists:
            require_file(lists[name], what)
    return build_artifact(
        out,
        STAGE,
        config.recorded,
        {**source.inputs, **lists},
        lambda folder: _Build(folder, source, config, lists).run(),
        resumable=True,
    )


def open_source(config: CorpusConfig, data: Path, *, read_first: bool = True) -> Source:
    """The configured source; of a table, the first rows are read to know how, unless `read_first` is false."""
    source = _whole_source(config, data, read_first)
    return first_parts(source, config.max_parts) if config.max_parts else source


def _whole_source(config: CorpusConfig, data: Path, read_first: bool) -> Source:
    if config.source == "packages":
        return packages_source(config)
    path = data / config.path
    if not config.path.startswith(HUB) and not path.exists():
        raise StackbertError(f"{path}: no such file or folder; source '{config.source}' reads what path names")
    if config.source == "dump":
        return dump_source(path, config)
    if config.source == "folder":
        return folder_source(path, config)
    tags_path = data / config.tags_path if config.tags_path else None
    return table_source(path, config, tags_path, read_first=read_first)


class _Build:
    """The stage's work: build the parts, find duplicates across them, write the shards."""

    def __init__(self, folder: Path, source: Source, config: CorpusConfig, lists: Mapping[str, Path]) -> None:
        self.folder, self.source, self.config = folder.absolute(), source, config
        self.scratch = self.folder / SCRATCH
        self.name = config.path or config.source
        links = lists.get("post_links")
        self.job = PartJob(
            self.scratch / "parts",
            source,
            config,
            synonyms=self._synonyms(lists.get("tag_synonyms")),
            links=save_links(load_links(links), self.scratch / "links") if links else None,
        )
        labels = lists.get("decontaminate_against")
        self.labels = labels.absolute() if labels else None
        self.engine = Engine(
            config.engine, config.processes, config.partition, config.task_hours, config.task_gigabytes
        )

    def _synonyms(self, path: Path | None) -> dict[str, str]:
        found = load_synonyms(path) if path else {}
        return lower_synonyms(found) if self.config.tags_case == "lower" else found

    def run(self) -> dict[str, Any]:
        """Run the tasks that are not finished; returns the manifest's counts."""
        parts = self._build_parts()
        balance = Balance("corpus")
        self._check_rejected(parts)
        ranges = range_count(parts)
        find = FindDuplicates(self.job.folder, parts, self.scratch / "ranges")
        self._run("finding duplicates", [find], ranges)
        if self.config.near_duplicates:
            from corpora.build.near_duplicates import find_near_duplicates  # takes a second to import

            find_near_duplicates(self.scratch, parts, ranges, self._run)
        write = WriteShard(self.scratch, self.folder, ranges, self.config, self.labels)
        self._run("writing posts", [write], parts)
        characters = self._add_up(balance, parts)
        self._concatenate_lists(parts)
        print(balance)
        if not balance.kept:
            raise StackbertError(f"{self.name}: no post was kept ({balance})")
        counts = balance.counts() | {"characters": characters}
        return counts | self._removed_characters(parts) | self._summarize(parts)

    def _run(self, title: str, steps: Sequence[Any], tasks: int) -> None:
        self.engine.run(title, steps, tasks, self.scratch / "tasks" / title.replace(" ", "-"))

    def _build_parts(self) -> int:
        """Returns the number of parts."""
        self.job.folder.mkdir(parents=True, exist_ok=True)
        rows = self.source.rows
        if isinstance(rows, Stream):
            self._run("reading", [BuildStreamParts(self.job)], 1)
            return len([path for path in self.job.folder.iterdir() if path.suffix != ".partial"])
        self._run("reading", [BuildParts(self.job)], rows.count)
        return rows.count

    def _counts(self, path: Path) -> dict[str, Any]:
        counts: dict[str, Any] = json.loads(path.read_text())
        return counts

    def _check_rejected(self, parts: int) -> None:
        """Raise StackbertError if the share of bad rows exceeds config.max_rejected_share."""
        read, rejected = 0, 0
        for part in range(parts):
            counts = self._counts(part_folder(self.job.folder, part) / COUNTS)
            read += counts["kept"] + sum(counts["dropped"].values())
            rejected += counts["dropped"].get(BAD_ROW, 0)
        if rejected <= self.config.max_rejected_share * read:
            return
        lines = [line for part in range(parts) for line in self._lines(part, REJECTED)[:LISTED]][:LISTED]
        listed = "".join(
            f"\n  {row['where']}: {row['detail']}: {row['excerpt'][:80]!r}" for row in map(json.loads, lines)
        )
        raise StackbertError(
            f"{self.name}: {rejected:,} of {read:,} rows cannot be read, more than the "
            f"{self.config.max_rejected_share:.2%} allowed; the first:{listed}\n"
            "Repair the file, or raise max_rejected_share to build without them"
        )

    def _lines(self, part: int, name: str) -> list[str]:
        path = part_folder(self.job.folder, part) / name
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def _add_up(self, balance: Balance, parts: int) -> int:
        """Add the counts of all parts to `balance`; returns the characters of the kept posts."""
        characters, dropped = 0, Counter[str]()
        for part in range(parts):
            dropped.update(self._counts(part_folder(self.job.folder, part) / COUNTS)["dropped"])
            counts = self._counts(self.scratch / "shards" / COUNTS_FILE.format(part))
            dropped.update(counts["dropped"])
            balance.kept += counts["kept"]
            characters += counts["characters"]
        for reason, count in dropped.items():
            balance.drop(reason, count)
        return characters

    def _removed_characters(self, parts: int) -> dict[str, int]:
        """The count of characters that XML forbids and the rows held; empty if there were none."""
        counts = (self._counts(part_folder(self.job.folder, part) / COUNTS) for part in range(parts))
        removed = sum(each.get("removed_characters", 0) for each in counts)
        if not removed:
            return {}
        print(f"{self.name}: {removed:,} characters that XML forbids were removed; their rows are kept")
        return {"removed_characters": removed}

    def _summarize(self, parts: int) -> dict[str, Any]:
        """Print what was read; returns its counts."""
        contents = Contents()
        for part in range(parts):
            contents.include(self._counts(part_folder(self.job.folder, part) / COUNTS).get("contents", {}))
        return summarize(self.folder, contents, self.source.notes, self.config, self.job.synonyms)

    def _concatenate_lists(self, parts: int) -> None:
        """Write rejected.jsonl and dropped.jsonl, unless empty."""
        for name in (REJECTED, DROPPED):
            lists = [part_folder(self.job.folder, part) / name for part in range(parts)]
            if name == DROPPED:
                lists += [self.scratch / "shards" / f"{part:05d}.jsonl" for part in range(parts)]
            lists = [path for path in lists if path.exists() and path.stat().st_size]
            if lists:
                with (self.folder / name).open("wb") as target:
                    for path in lists:
                        with path.open("rb") as source:
                            shutil.copyfileobj(source, target)
