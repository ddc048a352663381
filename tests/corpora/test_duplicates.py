"""Keys of texts."""

import random

import pytest

from corpora.duplicates import KEY_BYTES, SeenKeys, exact_key, normalized_key


@pytest.mark.parametrize(
    "variant",
    [
        "HOW DO I PARSE JSON, IN C#?",
        "how do i\n   parse json in c #",
        "How do I parse *JSON* in `C#`",
        "How do I parse \N{FULLWIDTH LATIN CAPITAL LETTER J}SON in C#",
    ],
)
def test_case_wrapping_punctuation_and_width_change_no_key(variant: str) -> None:
    assert normalized_key(variant) == normalized_key("How do I parse JSON in C#?")


@pytest.mark.parametrize(
    "other", ["How do I parse JSON in C++?", "How do I parse JSON in C?", "How do I parse XML in C#?"]
)
def test_names_that_differ_by_a_sign_keep_different_keys(other: str) -> None:
    assert normalized_key(other) != normalized_key("How do I parse JSON in C#?")


def test_texts_of_signs_alone_are_not_all_equal() -> None:
    assert normalized_key("?? !") == normalized_key("??!") != normalized_key("&&")


def test_seen_keys_equals_a_set() -> None:
    numbers = random.Random(0)
    seen, reference = SeenKeys(), set()
    # Few different bytes in one bucket: rests that are found across the border of two others.
    keys = [b"ab" + bytes(numbers.choices((0, 1), k=KEY_BYTES - 2)) for _ in range(3_000)]
    keys += [exact_key(str(numbers.randrange(500))) for _ in range(1_000)]
    for key in keys:
        assert (key in seen) == (key in reference)
        assert seen.add(key) == (key not in reference)
        reference.add(key)
