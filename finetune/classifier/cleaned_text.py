"""Cleaned texts: lower case, without stop words, digits and punctuation."""

import re
from dataclasses import replace

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from corpora.labels.labelled_set import Split

_NO_LETTERS = re.compile(r"[\W\d_]+")


def clean_text(text: str) -> str:
    """The text's words in lower case, without stop words, digits and punctuation.

    >>> clean_text("How do I sort a C++ vector<int> of 10?")
    'sort c vector int'
    """
    return " ".join(word for word in _NO_LETTERS.sub(" ", text.lower()).split() if word not in ENGLISH_STOP_WORDS)


def clean_split(split: Split) -> Split:
    """The split with every text cleaned."""
    return replace(split, texts=[clean_text(text) for text in split.texts])
