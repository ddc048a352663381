"""Texts as the study's cleaning left them: no stop words, digits or punctuation."""

import re
from dataclasses import replace

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from corpora.labels.labelled_set import Split

_NO_LETTER = re.compile(r"[\W\d_]+")


def without_stop_words(text: str) -> str:
    """The text's words in lower case, without stop words, digits and punctuation.

    >>> without_stop_words("How do I sort a C++ vector<int> of 10?")
    'sort c vector int'
    """
    return " ".join(word for word in _NO_LETTER.sub(" ", text.lower()).split() if word not in ENGLISH_STOP_WORDS)


def cleaned_split(split: Split) -> Split:
    """The split with every text cleaned."""
    return replace(split, texts=[without_stop_words(text) for text in split.texts])
