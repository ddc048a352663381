"""How running text becomes words."""

import pytest

from tokenizer.pretokenizer import build_normalizer, build_pretokenizer, needs_rule

TERMS = ("asp.net", ".net", "c++", "c#", "c", "f#", "node.js", "std::vector", "node.js-stream", "numpy")


def words(text: str, terms: tuple[str, ...] = TERMS) -> list[str]:
    return [word for word, _ in build_pretokenizer(terms).pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("asp.net, or .net?", "asp.net , or .net ?"),
        ("(c#)", "( c# )"),
        ("c++11 and c++.", "c++ 11 and c++ ."),
        ("I use node.js.", "I use node.js ."),
        ("std::vector<int>", "std::vector < int >"),
        ("node.js-stream beside node.js", "node.js-stream beside node.js"),
        ("C++ and Node.JS", "C++ and Node.JS"),
    ],
)
def test_terms_stay_whole_in_running_text(text, expected):
    assert words(text) == expected.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("end.Next", "end . Next"),
        ("end.net", "end . net"),
        ("i++;", "i ++ ;"),
        ("abc++", "abc ++"),
        ("c+++", "c ++ +"),
        ("node.jsx", "node . jsx"),
        ("myasp.net", "myasp . net"),
        ("objc#", "objc #"),
    ],
)
def test_terms_inside_other_words_are_not_terms(text, expected):
    assert words(text) == expected.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("utf8 x86 3.14 20261123", "utf8 x86 3 . 14 2026 1123"),
        ("p->next == NULL && a != b", "p -> next == NULL && a != b"),
        ("snake_case", "snake _ case"),
        (r"C:\new\table", r"C : \n ew \t able"),
    ],
)
def test_words_numbers_and_operators(text, expected):
    assert words(text) == expected.split()


def test_no_character_is_lost_but_white_space():
    text = "if (a<b) {\n\tcall(x, 'é', \"漢字\"); // 😀 50% #tag\n}"
    assert "".join(words(text)) == "".join(text.split())


def test_characters_of_a_pattern_stand_for_themselves():
    assert words("a.b axb a*b", ("a.b", "a*b", "[x]", "(?:", "\\d")) == ["a.b", "axb", "a*b"]


def test_without_terms_or_with_an_empty_one():
    for terms in ((), ("",)):
        assert words("c++ now", terms) == ["c", "++", "now"]


def test_a_plain_word_needs_no_rule():
    assert [term for term in TERMS if not needs_rule(term)] == ["c", "numpy"]


def test_lower_case_drops_accents_and_cased_keeps_both():
    assert build_normalizer(True).normalize_str("Café\x00 NumPy") == "cafe numpy"
    assert build_normalizer(False).normalize_str("Café\x00 NumPy") == "Café NumPy"
