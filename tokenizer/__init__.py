"""Posts -> a code-aware WordPiece vocabulary, and packed rows of token ids."""
