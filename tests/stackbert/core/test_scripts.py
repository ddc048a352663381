"""Scripts of letters."""

import sys
import unicodedata
from collections import Counter

import numpy as np

from stackbert.core.scripts import count_code_points, letters_by_script, script_of


def test_letters_of_a_text_are_counted_by_script():
    texts = [
        "C++ \u0451\u043b\u043a\u0430, \u6f22\u5b57\u3067\u30c7\u30fc\u30bf",
        "",
        "\u0939\u093f\u0902 \u0623 \ud55c \uff21 1_2 \u00b5",
        "xyz",
    ]
    counts = letters_by_script(count_code_points(texts))
    expected = {"Latin": 5, "Cyrillic": 4, "Han": 2, "Hiragana": 1, "Katakana": 3, "Devanagari": 3, "Arabic": 1}
    assert counts == Counter(expected | {"Hangul": 1, "other": 1})


def test_every_character_has_one_answer_and_letters_have_a_script():
    for number in range(0x20, sys.maxunicode + 1, 7):
        character = chr(number)
        is_letter = unicodedata.category(character)[0] == "L"
        assert bool(script_of(character)) >= is_letter


def test_code_points_are_counted_with_broken_ones():
    counts = count_code_points(["a\ud800", "\U0010ffff a"])
    assert counts.sum() == 5
    assert np.flatnonzero(counts).tolist() == [0x20, 0x61, 0xD800, 0x10FFFF]
    assert not count_code_points([]).any()
