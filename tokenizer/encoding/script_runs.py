"""Runs of scripts whose words stand beside Latin ones without a space, as in `node.js\u3067` and `C++\uc5d0\uc11c`."""

RUN_SCRIPTS = ("Hiragana", "Katakana", "Hangul", "Thai", "Lao", "Khmer", "Myanmar")
LONG_VOWEL = "\u30fc"  # belongs to Hiragana and Katakana alike
SCRIPT_RUNS = "|".join(rf"\p{{{name}}}[\p{{{name}}}\p{{M}}{LONG_VOWEL}]*+(?!\.[A-Za-z])" for name in RUN_SCRIPTS)
"""A regular expression of one run, in the syntax of the tokenizers library; nothing in ASCII matches it.

A run before the ending of a file name is left to the next step, for which the ending needs a letter before it.
"""
