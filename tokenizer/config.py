"""Settings of the commands 'stackbert tokenizer VERB'."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from corpora.post_pairs import PairSource
from stackbert.core.errors import require
from stackbert.core.home import PathText


@dataclass(frozen=True)
class TokenizerConfig:
    """Training of a code-aware vocabulary."""

    vocab_size: int = 16_000
    """Tokens in the vocabulary; about half of BERT's 30,522, as embeddings are most of a small encoder's weights."""
    model: Literal["wordpiece", "unigram", "bpe"] = "wordpiece"
    """Model that splits words into tokens: BERT's WordPiece, or SentencePiece's unigram or byte-pair encoding."""
    pieces: Literal["pruned", "bpe", "unigram"] = "pruned"
    """Algorithm that learns WordPiece's pieces: byte-pair encoding, then pruned for greedy encoding; or one of
    SentencePiece's trainers without pruning."""
    lowercase: bool = True
    """Fold case, like uncased BERT; must equal the base checkpoint's setting."""
    accents: Literal["auto", "strip", "keep"] = "auto"
    """Accents and like marks where case is folded. 'auto': stripped, as by uncased BERT, where that changes fewer than
    0.5 % of the letters, as in English; else kept, since a Russian, Japanese or Hindi letter without its mark is
    another letter."""
    script_runs: Literal["auto", "split", "join"] = "auto"
    """Japanese syllables, Hangul and Thai beside Latin letters without a space. 'split': words of their own, so that
    the terms before them stay whole; 'auto': where at least 0.5 % of the letters are of such a script."""
    extend: PathText = ""
    """Base whose vocabulary is extended, instead of training a new one: 'minilm', a folder or a hub id."""
    extend_by: int | Literal["auto"] = 8_000
    """Number of tokens to add to the base's vocabulary; they fill its unused rows first. 'auto': as long as they save
    enough tokens of the text (extend_gain)."""
    extend_gain: float = 0.01
    """Share of the text's tokens that 1,000 further tokens have to save with extend_by 'auto', which adds no more where
    they save less."""
    lexicon_size: int = 2_000
    """Number of most frequent tags that get one token each."""
    lexicon: tuple[str, ...] = ()
    """Further terms that get one token each, besides tags and well-known terms such as c++ and node.js."""
    lexicon_path: PathText = ""
    """File of further terms: the site's Tags.xml, or a text file with one term per line."""
    min_count: int = 2
    """Least occurrences of a word or lexicon term; rarer ones are split into pieces. A tag's uses count too."""
    alphabet_size: int = 400
    """Least number of characters in the vocabulary, the most frequent ones. Words with others become [UNK]; on the
    English Stack Overflow 20 characters in a million are others."""
    alphabet_coverage: float = 0.9995
    """Share of the text's characters that the vocabulary has at least: where `alphabet_size` covers less, as in Chinese
    and Japanese, more characters get a token. 0 turns it off."""
    title_weight: int = 5
    """Weight of a title's words in the counts: a title sums up its post, and every classifier reads it."""
    validation_share: float = 0.02
    """Share of validation posts, chosen by a hash of the id and excluded from training; the same posts as in
    'tokenizer encode'."""
    processes: int = 0
    """Processes that count words; 0 means one per core. The output does not depend on it."""

    def __post_init__(self) -> None:
        for name in ("vocab_size", "min_count", "alphabet_size", "title_weight"):
            require(getattr(self, name) > 0, f"{name} {getattr(self, name)}: must be above 0")
        require(
            not isinstance(self.extend_by, int) or self.extend_by > 0,
            f"extend_by {self.extend_by}: must be above 0, or auto",
        )
        require(0 < self.extend_gain < 1, f"extend_gain {self.extend_gain}: must be above 0 and below 1")
        for name in ("lexicon_size", "processes"):
            require(getattr(self, name) >= 0, f"{name} {getattr(self, name)}: must be 0 or more")
        require(0 <= self.validation_share < 1, f"validation_share {self.validation_share}: must be from 0 to below 1")
        require(0 <= self.alphabet_coverage <= 1, f"alphabet_coverage {self.alphabet_coverage}: must be from 0 to 1")
        require(
            self.model == "wordpiece" or not self.extend,
            f"extend {self.extend!r}: goes with model 'wordpiece' only",
        )


@dataclass(frozen=True)
class EncodeConfig:
    """Encoding of posts into packed rows."""

    row_length: int = 128
    """Tokens in a packed row; several short posts share one, longer posts take several. 128 is fastest on a CPU."""
    validation_share: float = 0.02
    """Share of validation posts, chosen by a hash of the id; their rows measure the MLM validation loss."""
    max_posts: int = 0
    """Approximate number of posts to encode, chosen by a hash of the id; 0 means all."""
    weights: dict[str, float] = field(default_factory=dict)
    """Share of each corpus's posts to encode, from 0 to 1, by the corpus's name; corpora that are not named are left
    out. Mixes a share of other text in: questions 1, packages 0.2. The posts are chosen by a hash of the id. Needs a
    labelled set; empty: all posts of all corpora."""
    max_text_tokens: int = 0
    """Encode only the first tokens of each post, [CLS] and [SEP] included; 0 means all, in several sequences where a
    post is longer than a row."""
    targets: Literal["none", "tags", "pairs", "words"] = "none"
    """What a text is given to predict, besides its masked tokens. 'tags': its tags outside the label set, for
    'pretrain run --objective tags'; posts without such a tag are not encoded. 'pairs': a post's title is given to find
    its body and the body its title, for '--objective pairs'; posts without both are not encoded. 'words': titles alone
    are encoded, each with the tokens of its body to predict, for '--objective words'; again of posts with both. All
    three need a labelled set."""
    pair_sources: tuple[PairSource, ...] = ("title-body",)
    """Which texts are pairs, with targets 'pairs': one or more of 'title-body', title and body of a post; 'answers', a
    question's title and its accepted answer, of a dump's corpus; 'duplicates', a question's title and that of the
    question that it was closed as a duplicate of, of a dump's corpus built with post_links. Both posts of a pair must
    be in the text. With answers or duplicates, pairs of a batch that share a text are not compared with each other."""
    min_tag_posts: int = 10
    """Least number of posts with a tag for it to be a target."""
    pair_tokens: int = 64
    """Most tokens of a title and of a body, [CLS] and [SEP] included; the first ones are encoded. Used with targets
    'pairs', where a row must hold a pair; rows of 256 have less padding than those of 128. With 'words' of a title."""
    bag_tokens: int = 128
    """Tokens of a body, its first ones, that the words to predict are taken from; about half of them are distinct. Used
    with targets 'words'."""
    leave_out_variants: bool = False
    """Leave out tags that contain the name of a label as a word, such as python-2.7 for the label python."""
    processes: int = 0
    """Processes that encode; 0 means one per core. The output does not depend on it."""

    def __post_init__(self) -> None:
        require(8 <= self.row_length <= 4_096, f"row_length {self.row_length}: must be from 8 to 4,096 tokens")
        require(0 < self.validation_share < 1, f"validation_share {self.validation_share}: must be above 0 and below 1")
        for name in ("max_posts", "processes"):
            require(getattr(self, name) >= 0, f"{name} {getattr(self, name)}: must be 0 or more")
        require(
            self.max_text_tokens == 0 or 3 <= self.max_text_tokens <= self.row_length,
            f"max_text_tokens {self.max_text_tokens}: must be from 3 to row_length {self.row_length}, or 0",
        )
        require(self.min_tag_posts > 0, f"min_tag_posts {self.min_tag_posts}: must be above 0")
        for name, weight in self.weights.items():
            require(0 <= weight <= 1, f"weights: {name} {weight}: must be from 0 to 1")
        require(not self.weights or any(self.weights.values()), "weights: all are 0; give one corpus more")
        for source in self.pair_sources:
            known = get_args(PairSource)
            require(source in known, f"pair_sources: no source {source!r}; they are {', '.join(known)}")
        require(
            0 < len(self.pair_sources) == len(set(self.pair_sources)),
            f"pair_sources {', '.join(self.pair_sources) or 'empty'}: name one or more, each once",
        )
        require(self.pair_tokens >= 3, f"pair_tokens {self.pair_tokens}: must be 3 or more")
        require(self.bag_tokens > 0, f"bag_tokens {self.bag_tokens}: must be above 0")
        if self.targets in ("pairs", "words"):
            texts, count = ("two texts", 2) if self.targets == "pairs" else ("a title", 1)
            require(
                count * self.pair_tokens <= self.row_length,
                f"pair_tokens {self.pair_tokens}: a row of {self.row_length} must hold {texts}; set row_length to "
                f"{count * self.pair_tokens} or more",
            )
            require(
                not self.max_text_tokens,
                f"max_text_tokens {self.max_text_tokens}: targets '{self.targets}' has pair_tokens",
            )

    @property
    def unused(self) -> list[str]:
        """A note for each setting that is not at its default and has no effect with these targets."""
        used_with = {"pair_sources": ("pairs",), "pair_tokens": ("pairs", "words"), "bag_tokens": ("words",)}
        used_with |= dict.fromkeys(("min_tag_posts", "leave_out_variants"), ("tags",))
        return [
            f"{name}: no effect; used only with targets {' or '.join(targets)}"
            for name, targets in used_with.items()
            if self.targets not in targets and getattr(self, name) != getattr(EncodeConfig, name)
        ]


@dataclass(frozen=True)
class EncodeBenchConfig:
    """Measurement of encoding speed."""

    megabytes: int = 20
    """Text to encode, from the start of the corpus; more text is encoded faster, as the cache knows more of it."""
    pairs: int = 5
    """Number of paired measurements; the order alternates."""
    row_length: int = 128
    """Tokens in a packed row."""

    def __post_init__(self) -> None:
        require(self.megabytes > 0, f"megabytes {self.megabytes}: must be above 0")
        require(self.pairs > 0, f"pairs {self.pairs}: must be above 0")
        require(8 <= self.row_length <= 4_096, f"row_length {self.row_length}: must be from 8 to 4,096 tokens")


@dataclass(frozen=True)
class ReportConfig:
    """Comparison of tokenizers."""

    split: Literal["all", "validation"] = "all"
    """Posts to compare on: all, or the validation posts, which training excludes."""
    validation_share: float = 0.02
    """Share of validation posts; must equal the setting of the training."""
    max_posts: int = 5_000
    """Approximate number of posts to compare on, chosen by a hash of the id."""
    top_tags: int = 1_000
    """Number of most frequent tags to look up in the vocabularies."""
    examples: int = 6
    """Number of texts shown with each tokenizer's tokens."""

    def __post_init__(self) -> None:
        require(0 < self.validation_share < 1, f"validation_share {self.validation_share}: must be above 0 and below 1")
        require(self.max_posts > 0, f"max_posts {self.max_posts}: must be above 0")
        require(self.top_tags > 0, f"top_tags {self.top_tags}: must be above 0")
        require(self.examples >= 0, f"examples {self.examples}: must be 0 or more")
