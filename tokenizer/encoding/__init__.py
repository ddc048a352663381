"""Posts and a tokenizer to packed rows of token ids."""
