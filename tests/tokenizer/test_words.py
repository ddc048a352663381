"""Counting distinct stretches gives what counting the whole text would."""

import random
from collections import Counter

import pytest

from tokenizer.pretokenizer import build_normalizer, build_pretokenizer
from tokenizer.words import count_chunks, count_words

TERMS = ("c++", ".net", "asp.net", "node.js")
PIECES = [
    *("C++", ".NET", "asp.net", "Node.js", "i++", "a.b", "Café", "e\u0301", "\u0301", "ΟΔΟΣ", "İ", "漢字", "ﬁ", "😀"),
    *(
        " ",
        "\t",
        "\n",
        "\r\n",
        "\u00a0",
        "\u2003",
        "\u2028",
        "\u3000",
        "\u200b",
        "\x00",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x85",
    ),
    *("(", ")", ",", "::", "->", "_", "12345", "\ufffd", "\u202e"),
]


def whole_text_counts(texts: list[str], lowercase: bool) -> dict[str, int]:
    normalizer, splitter = build_normalizer(lowercase), build_pretokenizer(TERMS)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    return dict(counts)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_counts_equal_those_of_the_whole_text(seed, lowercase):
    draw = random.Random(seed)
    texts = ["".join(draw.choices(PIECES, k=60)) for _ in range(20)]
    found = count_words(count_chunks(texts), build_normalizer(lowercase), build_pretokenizer(TERMS))
    assert found == whole_text_counts(texts, lowercase)


@pytest.mark.parametrize(
    "number", [*range(0x20), 0x7F, 0x85, 0xA0, 0xAD, 0x1680, 0x180E, 0x2028, 0x205F, 0x3000, 0xFEFF]
)
def test_every_kind_of_space_and_control_parts_words_as_in_use(number):
    text = f"one{chr(number)}two"
    assert count_words(count_chunks([text]), build_normalizer(True), build_pretokenizer(())) == whole_text_counts(
        [text], True
    )


def test_most_frequent_first_and_ties_in_code_point_order():
    counts = count_words(count_chunks(["b a c", "c é z"]), build_normalizer(False), build_pretokenizer(()))
    assert list(counts.items()) == [("c", 2), ("a", 1), ("b", 1), ("z", 1), ("é", 1)]
