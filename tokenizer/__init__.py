"""Second room: posts to a code-aware WordPiece vocabulary and to packed rows of token ids."""
