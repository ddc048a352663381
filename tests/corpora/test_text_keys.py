"""Keys of texts: what changes them and what does not; batches agree with a plain implementation."""

import random
import re

import numpy as np
import pytest

from corpora.text_keys import MIN_BLOCK, NGRAM_WORDS, text_keys


def key(text: str) -> int:
    return int(text_keys([""], [text]).wholes_N[0])


@pytest.mark.parametrize(
    "variant",
    [
        "HOW DO I PARSE JSON, IN C#?",
        "how do i\n   parse json in c #",
        "How do I parse *JSON* in `C#`",
        "How do I parse \N{FULLWIDTH LATIN CAPITAL LETTER J}SON in C#",
        "How\N{NO-BREAK SPACE}do I parse \N{LEFT DOUBLE QUOTATION MARK}JSON\N{RIGHT DOUBLE QUOTATION MARK} in C#\n\n",
    ],
)
def test_case_wrapping_punctuation_and_width_change_no_key(variant: str) -> None:
    assert key(variant) == key("How do I parse JSON in C#?") != 0


@pytest.mark.parametrize(
    "other", ["How do I parse JSON in C++?", "How do I parse JSON in C?", "How do I parse XML in C#?"]
)
def test_names_that_differ_by_a_sign_have_different_keys(other: str) -> None:
    assert key(other) != key("How do I parse JSON in C#?")


def test_other_scripts_have_keys_without_case() -> None:
    assert key("ПРИВЕТ, мир") == key("привет — МИР!") != key("привет")
    assert key("STRASSE") == key("straße")


def test_signs_alone_have_no_key() -> None:
    keys = text_keys(["", "?! _"], ["", ""])
    assert keys.wholes_N.tolist() == keys.titles_N.tolist() == keys.letters_N.tolist() == [0, 0]


def posts_of_any_kind(count: int) -> list[tuple[str, str]]:
    numbers = random.Random(0)
    words = [
        *"ab",
        "C++",
        "x_y",
        "naïve",
        "…",
        "“q”",
        "数据",
        "",
        "--",
        "I/O",
        "word" * 20,
        "\n\n",
        "\n",
        "\n\n\n",
        " ",
    ]

    def text() -> str:
        return numbers.choice((" ", " ", "")).join(numbers.choices(words, k=numbers.choice((0, 1, 5, 30, 60))))

    return [(text().replace("\n", ""), text()) for _ in range(count)]


def words_of(text: str) -> list[str]:
    return re.findall(r"(?:[^\W_]|[+#])+", text.casefold())


def test_a_batch_gives_the_same_keys_as_single_posts() -> None:
    """Compares n-grams, blocks and letters with a plain implementation, and keys with those of single posts."""
    posts = posts_of_any_kind(200)
    batch = text_keys([title for title, _ in posts], [body for _, body in posts])
    letters_of = {}
    for number, (title, body) in enumerate(posts):
        alone = text_keys([title], [body])
        words = words_of(f"{title}\n{body}")
        ngrams = [tuple(words[start : start + NGRAM_WORDS]) for start in range(len(words) - NGRAM_WORDS + 1)]
        blocks = ["".join(words_of(block)).encode() for block in [title, *re.split(r"\n\n", body)]]
        assert batch.letters_N[number] == len("".join(words).encode())
        for keys in (alone.ngrams_G, batch.ngrams_G[batch.ngram_posts_G == number]):
            assert len(keys) == len(ngrams)
            for ngram, found in zip(ngrams, keys.tolist(), strict=True):
                assert letters_of.setdefault(found, ngram) == ngram
        lengths = [len(block) for block in blocks if len(block) >= MIN_BLOCK]
        assert batch.block_letters_B[batch.block_posts_B == number].tolist() == lengths
        for name in ("titles_N", "bodies_N", "wholes_N"):
            assert getattr(batch, name)[number] == getattr(alone, name)[0]
        assert batch.blocks_B[batch.block_posts_B == number].tolist() == alone.blocks_B.tolist()
    assert len(set(letters_of.values())) == len(letters_of) > 1_000


def test_no_posts_and_long_posts() -> None:
    assert len(text_keys([], []).wholes_N) == len(text_keys([], []).ngrams_G) == 0
    long = " ".join(map(str, range(300_000)))
    keys = text_keys([""], [long])
    assert len(np.unique(keys.ngrams_G)) == 300_000 - NGRAM_WORDS + 1
    assert keys.wholes_N[0] == keys.bodies_N[0] != 0
