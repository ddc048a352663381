"""Comparison of tokenizers on the same text: quality and speed."""
