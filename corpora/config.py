"""What the two stages of this room can be told."""

from dataclasses import dataclass, replace
from typing import Literal

from stackbert.core.errors import StackbertError


@dataclass(frozen=True)
class CorpusConfig:
    """Where the texts come from and which of them stay."""

    source: Literal["packages", "dump", "table", "folder"] = "packages"
    """'packages': documentation of the installed Python packages; needs nothing. 'dump': a Stack Exchange Posts.xml, or
    the .7z that holds it. 'table': CSV, JSON lines, Parquet or a Hugging Face data set. 'folder': text files, Markdown
    or HTML, each a document."""
    path: str = ""
    """File of the dump or table, or the folder; for a table also a folder of Parquet files, one saved by Hugging Face
    datasets, or 'hub:owner/name[@revision][:split]'. Unused for packages."""
    id_column: str | None = None
    """Table's column of post ids; without it, or where it is empty, ids are made from the content."""
    title_column: str | None = None
    """Table's column of titles; a table needs at least this or the body."""
    body_column: str | None = None
    """Table's column of bodies."""
    tags_column: str | None = None
    """Table's column of tags: a list, '<a><b>', '|a|b|', '["a", "b"]', or a text with commas or spaces."""
    packages: tuple[str, ...] = ()
    """Packages whose documentation is read, 'stdlib' for the standard library; empty: those of the default list that
    are installed."""
    format: Literal["auto", "html", "text"] = "auto"
    """What a body is; 'auto' takes a table's body for HTML where it is laid out as HTML, and a dump's always."""
    site: str | None = None
    """Site the ids belong to, such as stackoverflow.com; gives each question and answer its url, for attribution."""
    min_characters: int = 20
    """Posts with a shorter title and body are left out: some 4 words, too few to predict a masked one from."""
    max_rejected_share: float = 0.001
    """Share of unreadable rows above which the build stops; dumps as published have none, so more means damage."""
    min_score: int | None = None
    """Posts with a lower score are left out; posts without a score stay."""
    drop_closed: bool = False
    """Leave out questions of a dump that were closed."""
    tag_synonyms: str = ""
    """CSV (or TagSynonyms.xml) of source and target tags; each tag becomes its target."""
    tags_path: str = ""
    """Second table with one row a tag, as StackSample's Tags.csv; joined to the table's ids. Its columns: id_column and
    tags_column."""
    post_links: str = ""
    """PostLinks.xml of the dump; marks questions that were closed as duplicates."""
    code: Literal["keep", "mark", "drop"] = "keep"
    """What becomes of an HTML body's code: 'keep' its lines as text, 'mark' it by backticks as Markdown does, or 'drop'
    blocks of code; code within a sentence stays."""
    languages: tuple[str, ...] = ()
    """Languages to keep, such as en, by the first words of a post outside of its code; empty: all. Takes some
    millisecond a post."""
    near_duplicates: bool = False
    """Leave out posts that share most of their text with an earlier one (MinHash); takes several times as long."""
    held_out: str = ""
    """Labelled set (of 'corpora label', or test.parquet and dev.parquet made by hand) whose test and dev posts, and
    what gives them away, are left out: for a set that comes from elsewhere. 'corpora label' does that for its own."""
    keep_dropped: bool = False
    """Write the posts that are left out to dropped.jsonl, each with its reason."""
    part_megabytes: float = 32.0
    """Size of the parts that the source is worked on in, each by one worker; each becomes a file of posts."""
    processes: int = 0
    """Parts worked on at a time; 0: one a core. Never changes the output, nor do the settings below."""
    engine: Literal["local", "slurm", "ray"] = "local"
    """What runs the work: processes of this machine, a Slurm cluster, or Ray (the cluster that RAY_ADDRESS names)."""
    partition: str = ""
    """Slurm's partition."""
    task_hours: float = 4.0
    """Slurm's time limit for a part."""
    task_gigabytes: int = 2
    """Memory asked of Slurm or Ray for a part; a worker needs 0.3."""

    @property
    def part_bytes(self) -> int:
        return max(1, round(self.part_megabytes * 1_000_000))

    @property
    def recorded(self) -> "CorpusConfig":
        """The configuration without what never changes the output."""
        defaults = {name: getattr(CorpusConfig, name) for name in RUN_FIELDS}
        return replace(self, **defaults)

    def __post_init__(self) -> None:
        if self.source != "packages" and not self.path:
            raise StackbertError(f"source '{self.source}' needs path: name the file to read")
        if self.source == "table" and not (self.title_column or self.body_column):
            raise StackbertError("source 'table' needs title_column or body_column: name the columns that hold text")
        if self.processes < 0:
            raise StackbertError(f"processes must be 0 or more, not {self.processes}")
        if not self.part_megabytes > 0:
            raise StackbertError(f"part_megabytes must be above 0, not {self.part_megabytes}")


@dataclass(frozen=True)
class PlanConfig:
    """What a dump's building is projected to."""

    sample_megabytes: float = 64.0
    """XML that is built to measure this machine; half a minute."""
    gigabytes: float = 0.0
    """Size of the XML to project to, such as 100 for the whole of Stack Overflow; 0: that of the file."""
    cores: tuple[int, ...] = (1, 16, 256)
    """Numbers of cores to project to."""

    def __post_init__(self) -> None:
        if not (self.sample_megabytes > 0 and self.gigabytes >= 0):
            raise StackbertError("sample_megabytes must be above 0, and gigabytes 0 or more")
        if not self.cores or min(self.cores) < 1:
            raise StackbertError(f"cores must be 1 or more each, not {self.cores}")


RUN_FIELDS = ("max_rejected_share", "processes", "engine", "partition", "task_hours", "task_gigabytes")
"""Settings of a build that never change its output: a rerun with others is the same artifact, or goes on with it."""


@dataclass(frozen=True)
class LabelConfig:
    """Which tags become labels and how the labelled posts are divided."""

    num_labels: int = 25
    """The most frequent tags become the labels; 25 as in the study that this project answers."""
    labels: tuple[str, ...] = ()
    """The labels by name, in this order; replaces num_labels."""
    misc: bool = False
    """Give tagged posts that have none of the labels the label 'misc'; without it they are left out."""
    dev_share: float = 0.1
    """Share of labelled posts for choosing thresholds and epochs."""
    test_share: float = 0.2
    """Share of labelled posts for the final figures: 10,000 of 50,000, as in the study."""
    split: Literal["hash", "time"] = "hash"
    """'hash' divides by the id's hash. 'time' trains on the past and tests on the future: test posts are the latest,
    dev posts those before, and the pretraining text holds only posts created before the dev posts; needs the posts'
    dates."""
    max_train: int = 0
    """Training posts at most; 0: all. Those with the lowest id hashes stay, so a smaller set is part of a larger."""
    max_dev: int = 0
    """Dev posts at most; 0: all."""
    max_test: int = 0
    """Test posts at most; 0: all."""
    seed: int = 0
    """Key of the hash that divides the posts; with split 'hash', a post's depends on this and its id alone."""
    processes: int = 0
    """Shards read at a time; 0: one a core. Never changes the output."""

    def __post_init__(self) -> None:
        if self.num_labels < 1:
            raise StackbertError(f"num_labels must be 1 or more, not {self.num_labels}")
        if not (0 < self.dev_share < 1 and 0 < self.test_share < 1 and self.dev_share + self.test_share < 1):
            raise StackbertError(
                f"dev_share {self.dev_share} and test_share {self.test_share} must be above 0, and below 1 in sum"
            )
        if min(self.max_train, self.max_dev, self.max_test) < 0:
            raise StackbertError("max_train, max_dev and max_test must be 0 (all) or more")
        if self.processes < 0:
            raise StackbertError(f"processes must be 0 or more, not {self.processes}")
