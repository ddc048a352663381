"""Settings of 'corpora build', 'corpora plan' and 'corpora label'."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from corpora.files.dialect import DialectSettings, Escape, Quote
from stackbert.core.errors import StackbertError
from stackbert.core.home import PathText

TagsFormat = Literal[
    "auto",
    "angle",
    "pipe",
    "comma",
    "semicolon",
    "space",
    "newline",
    "json",
    "python",
    "postgres",
    "brackets",
    "single",
]
DateOrder = Literal["auto", "day-first", "month-first"]


@dataclass(frozen=True)
class CorpusConfig:
    """Where posts come from, and which of them are kept."""

    source: Literal["packages", "dump", "table", "folder"] = "packages"
    """'packages': docstrings of the installed Python packages. 'dump': a Stack Exchange Posts.xml, or the .7z that
    holds it. 'table': CSV, TSV, JSON, Parquet or a Hugging Face data set. 'folder': text, Markdown or HTML files, each
    a document."""
    path: PathText = ""
    """File of the dump or table, or the folder. A table can also be a folder of files of one kind, a data set saved by
    Hugging Face datasets, or 'hub:owner/name[@revision][:split]', and a file can be packed (.gz, .bz2, .xz, .zst, or
    .zip with one table). Not used for packages."""
    id_column: str | None = None
    """Column of post ids in the table; without it, or where it is empty, ids are made from the content."""
    title_column: str | None = None
    """Column of titles in the table; a table needs title_column, body_column or both."""
    body_column: str | None = None
    """Column of bodies in the table."""
    tags_column: str | None = None
    """Column of tags in the table: a list, or a text in a notation that tags_format names."""
    tags_format: TagsFormat = "auto"
    """Notation of the tags in a text: 'angle' <a><b>, 'pipe' a|b or |a|b|, 'comma', 'semicolon', 'space', 'newline',
    'json' ["a", "b"], 'python' ['a', 'b'], 'postgres' {a,b}, 'brackets' [a, b], or 'single': the whole text is one tag.
    'auto' finds one notation for all rows from the first ones, and prints it."""
    tags_separator: str = ""
    """What stands between the tags in a text, where no tags_format has it: such as '/' or ' - '."""
    tags_case: Literal["keep", "lower"] = "keep"
    """'lower' makes all tags lower-case, so that Python and python are one; with 'keep' they are two, which is said."""
    date_column: str | None = None
    """Column of the posts' dates in the table, for 'corpora label' with split 'time': dates and times, texts in ISO
    8601, days, months and years, or seconds or milliseconds since 1970. Without a time zone, they are in UTC."""
    date_order: DateOrder = "auto"
    """Which is first in dates such as 03/04/2021; 'auto' finds it from the days above 12 in the first rows."""
    delimiter: str = "auto"
    """What separates the fields of a CSV or TSV: comma, semicolon, tab, pipe, space or a character; 'auto' finds it in
    the header, and in a line 'sep=;' before it. This and the next three also hold for tags_path."""
    quote: Quote = "auto"
    """What fields with delimiters or line breaks stand in: 'double' or 'single' quotes; 'none': quotes are text, as in
    TSV by its IANA definition."""
    escape: Escape = "auto"
    """How a quote is written within quotes: 'doubled', or after a 'backslash'."""
    encoding: str = "auto"
    """Encoding of a CSV, TSV or JSON file, such as cp1251, utf-16-le or shift_jis; 'auto' finds UTF-8, UTF-16 with a
    byte order mark and Windows-1252. In a folder of text files, of those that are not UTF-8."""
    packages: tuple[str, ...] = ()
    """Packages whose docstrings are read, 'stdlib' for the standard library; empty: the installed ones of a default
    list."""
    format: Literal["auto", "html", "text"] = "auto"
    """Format of the bodies; 'auto' finds for each body of a table whether it is HTML rather than Markdown or plain
    text, which 'text' stands for, and assumes HTML in a dump."""
    site: str | None = None
    """Site that the ids belong to, such as stackoverflow.com; used for the posts' URLs, for attribution."""
    min_characters: int = 20
    """Drop posts with fewer characters in title and body; 20 are some 4 words, too few to predict a masked one."""
    max_rejected_share: float = 0.001
    """Stop if a larger share of rows cannot be read: the file is damaged. The control characters of published dumps are
    removed, and do not count."""
    min_score: int | None = None
    """Drop posts with a lower score; posts without a score are kept."""
    drop_closed: bool = False
    """Drop closed questions of a dump."""
    tag_synonyms: PathText = ""
    """CSV (or TagSynonyms.xml) of source and target tags; each source tag is replaced by its target."""
    tags_path: PathText = ""
    """Second table with one row per post and tag, such as Tags.csv of StackSample, joined by id. Its columns are
    id_column and tags_column."""
    post_links: PathText = ""
    """PostLinks.xml of the dump; records which questions were closed as duplicates of which."""
    code: Literal["keep", "mark", "drop"] = "keep"
    """Code in HTML bodies: 'keep' its lines as text, 'mark' it with backticks as in Markdown, or 'drop' code blocks;
    inline code is always kept."""
    languages: tuple[str, ...] = ()
    """Languages to keep, such as en, identified from a post's first words outside of code; empty: all. Takes about a
    millisecond per post."""
    near_duplicates: bool = False
    """Drop posts that share most of their text with an earlier one (MinHash); takes several times as long."""
    decontaminate_against: PathText = ""
    """Labelled set (from 'corpora label', or test.parquet and dev.parquet made by hand). Drop its test and dev posts
    and whatever contaminates them. Meant for a set from elsewhere: 'corpora label' does this for its own set."""
    keep_dropped: bool = False
    """Write dropped posts to dropped.jsonl, each with its reason."""
    part_megabytes: float = 32.0
    """Size of a part: a piece of the source that one worker builds. Each part becomes a shard of posts."""
    max_parts: int = 0
    """Build only the first parts, for a first look at a large source; 0: all."""
    processes: int = 0
    """Parts built at a time; 0: one per core. Neither this nor the settings below change the output."""
    engine: Literal["local", "slurm", "ray"] = "local"
    """Where tasks run: in processes on this machine, on a Slurm cluster, or on Ray (the cluster of RAY_ADDRESS)."""
    partition: str = ""
    """Slurm partition."""
    task_hours: float = 4.0
    """Slurm time limit of a task."""
    task_gigabytes: int = 2
    """Memory requested from Slurm or Ray for a task; a worker needs 0.3 GB."""

    @property
    def part_bytes(self) -> int:
        return max(1, round(self.part_megabytes * 1_000_000))

    @property
    def dialect(self) -> DialectSettings:
        return DialectSettings(self.delimiter, self.quote, self.escape, self.encoding)

    @property
    def recorded(self) -> "CorpusConfig":
        """The configuration that the manifest records: RUN_FIELDS have their defaults."""
        defaults = {name: getattr(CorpusConfig, name) for name in RUN_FIELDS}
        return replace(self, **defaults)

    def __post_init__(self) -> None:
        if self.source != "packages" and not self.path:
            raise StackbertError(f"source '{self.source}' needs path: name the file or folder to read")
        if self.source == "table" and not (self.title_column or self.body_column):
            raise StackbertError("source 'table' needs title_column or body_column: name the columns that hold text")
        _ = self.dialect  # raises an error for a delimiter that is none
        if self.tags_separator and self.tags_format != "auto":
            raise StackbertError("tags_separator and tags_format: set one of them")
        if self.processes < 0:
            raise StackbertError(f"processes must be 0 or more, not {self.processes}")
        if self.max_parts < 0:
            raise StackbertError(f"max_parts must be 0 or more, not {self.max_parts}")
        if not self.part_megabytes > 0:
            raise StackbertError(f"part_megabytes must be above 0, not {self.part_megabytes}")


@dataclass(frozen=True)
class PlanConfig:
    """The sample to build, and what to project to."""

    sample_megabytes: float = 64.0
    """XML to build as a sample, about half a minute."""
    gigabytes: float = 0.0
    """Size of XML to project to, such as 100 for all of Stack Overflow; 0: the size of the file."""
    cores: tuple[int, ...] = (1, 16, 256)
    """Numbers of cores to project to."""

    def __post_init__(self) -> None:
        if not (self.sample_megabytes > 0 and self.gigabytes >= 0):
            raise StackbertError("sample_megabytes must be above 0, and gigabytes 0 or more")
        if not self.cores or min(self.cores) < 1:
            raise StackbertError(f"cores must be 1 or more each, not {self.cores}")


RUN_FIELDS = ("max_rejected_share", "processes", "engine", "partition", "task_hours", "task_gigabytes")
"""Settings that never change the output of a build: a rerun with other values continues or reuses the same output."""


@dataclass(frozen=True)
class LabelConfig:
    """Which tags become labels, and how labelled posts are divided into splits."""

    num_labels: int = 25
    """Number of labels: the most frequent tags. 25 as in the study that this project responds to."""
    labels: tuple[str, ...] = ()
    """Names of the labels, in this order; overrides num_labels."""
    misc: bool = False
    """Label tagged posts without any of the labels 'misc'; otherwise they are dropped."""
    dev_share: float = 0.1
    """Share of labelled posts used to choose thresholds and epochs."""
    test_share: float = 0.2
    """Share of labelled posts used for the final metrics: 10,000 of 50,000, as in the study."""
    split: Literal["hash", "time"] = "hash"
    """'hash' divides by a hash of the id. 'time' trains on the past and tests on the future: test posts are the latest,
    dev posts the latest before them, and pretraining text contains only posts created before the dev posts; needs
    dates."""
    test_from: str = ""
    """An ISO date, such as 2021-06-01: the test posts are those created on that day or later, whatever test_share is,
    so that a checkpoint can be tested on posts from after it was published. dev_share is then the share of the posts
    before it. Posts without a date are not in test. Pretraining text has no post with a date from then on. The date has
    to be known for half of the labelled posts."""
    max_train: int = 0
    """Maximum number of training posts; 0: all. Those with the lowest id hashes are kept, so smaller sets are subsets
    of larger ones."""
    max_dev: int = 0
    """Maximum number of dev posts; 0: all."""
    max_test: int = 0
    """Maximum number of test posts; 0: all."""
    seed: int = 0
    """Key of the hash that divides the posts; with split 'hash', a post's split depends on seed and id alone."""
    processes: int = 0
    """Shards read at a time; 0: one per core. Does not change the output."""

    def __post_init__(self) -> None:
        if self.num_labels < 1:
            raise StackbertError(f"num_labels must be 1 or more, not {self.num_labels}")
        if not (0 < self.dev_share < 1 and 0 < self.test_share < 1 and self.dev_share + self.test_share < 1):
            raise StackbertError(
                f"dev_share {self.dev_share} and test_share {self.test_share} must be above 0, and below 1 in sum"
            )
        if self.test_from and not _is_date(self.test_from):
            raise StackbertError(f"test_from {self.test_from!r} is not an ISO date; write it as 2021-06-01")
        if min(self.max_train, self.max_dev, self.max_test) < 0:
            raise StackbertError("max_train, max_dev and max_test must be 0 (all) or more")
        if self.processes < 0:
            raise StackbertError(f"processes must be 0 or more, not {self.processes}")


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
