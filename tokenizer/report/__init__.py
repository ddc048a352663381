"""Tokenizers compared on one text: quality and speed."""
