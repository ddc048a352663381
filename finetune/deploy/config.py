"""Settings of prediction and of the server."""

from dataclasses import dataclass
from typing import Literal

from corpora.files.dialect import DialectSettings, Escape, Quote
from stackbert.core.errors import require
from stackbert.core.home import PathText


@dataclass(frozen=True)
class PredictConfig:
    """Input file and output format of 'finetune predict'."""

    file: PathText = ""
    """Input file, instead of TEXT: a table (CSV, TSV, JSON lines, Parquet) whose columns are named below, or else one
    text per line. '-' reads standard input and answers each line as it arrives: texts, or where the first line is a
    JSON object, JSON lines. Texts that are empty are left out, which is said."""
    text_column: str | None = None
    """Column of a table with the texts, which are read as they are. JSON lines have them in 'text' by default."""
    title_column: str | None = None
    """Column of titles of a table. Title and body become one text as in 'corpora build', HTML as plain text: name them
    if the classifier was trained on such posts."""
    body_column: str | None = None
    """Column of bodies of a table."""
    format: Literal["auto", "html", "text"] = "auto"
    """Format of the bodies, as in 'corpora build'."""
    code: Literal["keep", "mark", "drop"] = "keep"
    """Code in HTML bodies, as in 'corpora build'; name what the classifier's posts were built with."""
    id_column: str | None = None
    """Column of a table that is copied to the output."""
    delimiter: str = "auto"
    """Delimiter, quotes, escapes and encoding of a CSV or TSV, as in 'corpora build'; 'auto' finds and says them."""
    quote: Quote = "auto"
    """'double', 'single' or 'none'."""
    escape: Escape = "auto"
    """'doubled' or 'backslash'."""
    encoding: str = "auto"
    """Such as cp1251 or shift_jis."""
    top: int = 5
    """Maximum number of labels per text."""
    threshold: float = 0.0
    """Show only labels with at least this probability. Labels that reach their tuned threshold are marked by '*'."""
    json: bool = False
    """Print one JSON object per text."""

    def __post_init__(self) -> None:
        require(self.top > 0, f"top {self.top}: must be above 0")
        require(0 <= self.threshold <= 1, f"threshold {self.threshold}: must be from 0 to 1")
        require(
            not (self.text_column and (self.title_column or self.body_column)),
            "text_column: name either the column of whole texts, or title_column and body_column",
        )
        require(bool(self.file) or not self.columns, "columns are those of a table: name it as --file")

    @property
    def dialect(self) -> DialectSettings:
        """What is named of a table's dialect."""
        return DialectSettings(self.delimiter, self.quote, self.escape, self.encoding)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are named."""
        named = (self.text_column, self.title_column, self.body_column, self.id_column)
        return tuple(column for column in named if column)


@dataclass(frozen=True)
class ServeConfig:
    """Address, batches and limits of 'finetune serve'."""

    host: str = "127.0.0.1"
    """Address or name of this machine to listen on; 0.0.0.0 accepts connections from the network."""
    port: int = 8017
    """Port to listen on; 0 chooses a free one."""
    batch_texts: int = 32
    """Maximum number of texts labelled together; larger batches raise the time of each request, but hardly the texts
    per second."""
    batch_wait_milliseconds: float = 4.0
    """Time that a text waits for others before a batch that is not full starts; short beside the time of a batch."""
    max_waiting: int = 1_000
    """Maximum number of texts that wait for a batch. Requests beyond it are answered 503 with Retry-After."""
    max_texts: int = 100
    """Maximum number of texts of a request."""
    max_characters: int = 100_000
    """Maximum length of a text. Only its first tokens are read, so a longer one is probably a mistake."""
    max_body_bytes: int = 1_000_000
    """Maximum size of a request's body."""
    stop_seconds: int = 30
    """Time that requests have to finish once the server is told to stop."""

    def __post_init__(self) -> None:
        require(bool(self.host.strip()), "host: is empty; name an address of this machine, such as 127.0.0.1")
        require(0 <= self.port <= 65_535, f"port {self.port}: must be from 0 to 65535")
        for name in ("batch_texts", "max_texts", "max_characters", "max_body_bytes"):
            require(getattr(self, name) > 0, f"{name} {getattr(self, name)}: must be above 0")
        for name in ("batch_wait_milliseconds", "stop_seconds"):
            require(getattr(self, name) >= 0, f"{name} {getattr(self, name)}: must be 0 or more")
        require(
            self.max_waiting >= self.max_texts,
            f"max_waiting {self.max_waiting}: must be at least max_texts, {self.max_texts}, so that one fits",
        )
