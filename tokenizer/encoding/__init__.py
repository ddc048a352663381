"""Posts + a tokenizer -> packed rows of token ids."""
