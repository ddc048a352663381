"""What one can choose about a vocabulary and about packed rows."""

from dataclasses import dataclass
from typing import Literal

from stackbert.core.errors import require


@dataclass(frozen=True)
class TokenizerConfig:
    """Training of a code-aware vocabulary."""

    vocab_size: int = 16_000
    """Tokens in the vocabulary; small encoders spend most of their weights here, so half of BERT's 30,522."""
    model: Literal["wordpiece", "unigram", "bpe"] = "wordpiece"
    """How words are read: as BERT does, or with SentencePiece's unigram or byte-pair-encoding model."""
    pieces: Literal["pruned", "bpe", "unigram"] = "pruned"
    """How WordPiece's pieces are found: by byte-pair encoding, then chosen for greedy reading; or by one of
    SentencePiece's trainers alone."""
    lowercase: bool = True
    """Fold case and accents, as uncased BERT does; keep it equal to the base checkpoint's."""
    extend: str = ""
    """Base whose vocabulary is kept and added to, instead of a new one: 'minilm', a folder or a hub id."""
    extend_by: int = 8_000
    """Tokens that are added to the base's; its unused rows are taken first."""
    lexicon_size: int = 2_000
    """Most frequent tags that training knows: they get a token of their own."""
    lexicon: tuple[str, ...] = ()
    """Further terms to keep whole, beside the corpus's tags and well-known ones such as c++ and node.js."""
    lexicon_path: str = ""
    """File of further terms: the site's Tags.xml, or one term a line."""
    min_count: int = 2
    """Occurrences below which a word or a lexicon term is left to its pieces; a tag's uses count."""
    alphabet_size: int = 400
    """Most frequent characters kept; of Stack Overflow's text 20 in a million are others, whose words become [UNK]."""
    title_weight: int = 5
    """How often a title's words count: it says in one line what a post is about, and is read by every classifier."""
    validation_share: float = 0.02
    """Share of posts, by a hash of the id, that training does not see; those that 'tokenizer encode' holds out."""
    processes: int = 0
    """Processes that count words; 0: one a core. Never changes the output."""

    def __post_init__(self) -> None:
        for name in ("vocab_size", "min_count", "alphabet_size", "title_weight", "extend_by"):
            require(getattr(self, name) > 0, f"{name} {getattr(self, name)}: must be above 0")
        for name in ("lexicon_size", "processes"):
            require(getattr(self, name) >= 0, f"{name} {getattr(self, name)}: must be 0 or more")
        require(0 <= self.validation_share < 1, f"validation_share {self.validation_share}: must be from 0 to below 1")
        require(
            self.model == "wordpiece" or not self.extend, f"extend {self.extend!r}: goes with model 'wordpiece' only"
        )


@dataclass(frozen=True)
class EncodeConfig:
    """Encoding of posts to packed rows."""

    row_length: int = 128
    """Tokens in a packed row; several short posts share one, longer ones are cut. 128 is quickest on a CPU."""
    validation_share: float = 0.02
    """Share of posts kept from training to measure the MLM loss on, chosen by a hash of the id."""
    max_posts: int = 0
    """Posts to encode, about so many, chosen by a hash of the id; 0 takes all."""
    processes: int = 0
    """Processes that encode; 0 is one a core. The output is the same for any number."""

    def __post_init__(self) -> None:
        require(8 <= self.row_length <= 4_096, f"row_length {self.row_length}: must be from 8 to 4,096 tokens")
        require(0 < self.validation_share < 1, f"validation_share {self.validation_share}: must be above 0 and below 1")
        require(self.max_posts >= 0, f"max_posts {self.max_posts}: must be 0 or more")
        require(self.processes >= 0, f"processes {self.processes}: must be 0 or more")


@dataclass(frozen=True)
class ReadBenchConfig:
    """Measuring of reading speed."""

    megabytes: int = 20
    """Text to read, from the corpus's beginning; with more of it more was seen before, and reading is quicker."""
    pairs: int = 5
    """Times that both readers read it, taking turns to be first."""
    row_length: int = 128
    """Tokens in a packed row."""

    def __post_init__(self) -> None:
        require(self.megabytes > 0, f"megabytes {self.megabytes}: must be above 0")
        require(self.pairs > 0, f"pairs {self.pairs}: must be above 0")
        require(8 <= self.row_length <= 4_096, f"row_length {self.row_length}: must be from 8 to 4,096 tokens")


@dataclass(frozen=True)
class ReportConfig:
    """Tokenizers judged side by side."""

    split: Literal["all", "validation"] = "all"
    """Posts to judge on: all, or those that training leaves out."""
    validation_share: float = 0.02
    """Share of posts that training left out; keep it equal to the training's."""
    max_posts: int = 5_000
    """Posts judged on, about so many, chosen by a hash of the id."""
    top_tags: int = 1_000
    """Most frequent tags that are looked for."""
    examples: int = 6
    """Texts shown under each tokenizer."""

    def __post_init__(self) -> None:
        require(0 < self.validation_share < 1, f"validation_share {self.validation_share}: must be above 0 and below 1")
        require(self.max_posts > 0, f"max_posts {self.max_posts}: must be above 0")
        require(self.top_tags > 0, f"top_tags {self.top_tags}: must be above 0")
        require(self.examples >= 0, f"examples {self.examples}: must be 0 or more")
