"""How vocabularies write tokens: the special tokens, and the marks of tokens that start or continue a word."""

UNKNOWN = "[UNK]"
SPECIALS = ("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]")
"""BERT's special tokens. In a new vocabulary the position is the id; an extended one keeps the base's ids."""
CONTINUATION_PREFIX = "##"
"""WordPiece's prefix of a token that continues a word."""
SENTENCEPIECE_SPACE = "\u2581"
"""SentencePiece's character for the space before a word."""
BYTE_LEVEL_SPACE = "\u0120"
"""Byte-level BPE's character for the space before a word."""
