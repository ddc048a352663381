"""The files of a tokenizer: loaded and checked, written and compared."""
