"""What one can choose about a vocabulary and about packed rows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenizerConfig:
    """Training of a code-aware WordPiece vocabulary."""

    vocab_size: int = 16_000
    """Tokens in the vocabulary; small encoders spend most of their weights here, so half of BERT's 30,522."""
    lowercase: bool = True
    """Fold case and accents, as uncased BERT does; keep it equal to the base checkpoint's."""
    lexicon_size: int = 2_000
    """Most frequent tags that training knows: those found in the text get a token of their own."""
    lexicon: tuple[str, ...] = ()
    """Further terms to keep whole, beside the corpus's tags and well-known ones such as c++ and node.js."""
    min_count: int = 2
    """Occurrences below which a word or a lexicon term is left to its pieces."""
    alphabet_size: int = 1_000
    """Most frequent characters kept; rarer ones become [UNK]."""


@dataclass(frozen=True)
class EncodeConfig:
    """Encoding of posts to packed rows."""

    row_length: int = 128
    """Tokens in a packed row; several short posts share one, longer ones are cut. 128 is quickest on a CPU."""
    held_out_share: float = 0.02
    """Share of posts kept from training to measure the MLM loss on, chosen by a hash of the id."""
    max_posts: int = 0
    """Posts to encode, the first ones in corpus order; 0 takes all."""
