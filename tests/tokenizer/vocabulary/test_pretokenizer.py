"""How text is split into words."""

import random
import re

import pytest

from tokenizer.files.token_notation import SPECIALS
from tokenizer.vocabulary.export import build_tokenizer
from tokenizer.vocabulary.pretokenizer import build_normalizer, build_pretokenizer, needs_rule

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
def test_terms_are_not_split_in_running_text(text, expected):
    assert words(text) == expected.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("end.Next", "end . Next"),
        ("end.net", "end . net"),
        ("i++;", "i ++ ;"),
        ("abc++", "abc ++"),
        ("c+++", "c ++ +"),
        ("node.jsy", "node . jsy"),
        ("myasp.net", "myasp . net"),
        ("objc#", "objc #"),
    ],
)
def test_terms_inside_other_words_are_not_terms(text, expected):
    assert words(text) == expected.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("utf8 x86 3.14 20261123 1.2.3", "utf8 x86 3.14 2026 1123 1.2.3"),
        ("0x7fff5fbff8c0 192.168.1.1", "0 x7fff5fbff8c0 192.168.1.1"),
        ("p->next == NULL && a != b", "p -> next == NULL && a != b"),
        ("snake_case_2 _private", "snake_case_2 _ private"),
        (r"C:\new\table", r"C :\ new \t able"),
        ("client-side x-y i-1 a--b", "client-side x - y i - 1 a -- b"),
        ("don't it's 'quoted's", "don't it's ' quoted's"),
        (
            "INDEX.HTML index.html example.com end.next e.g. this",
            "INDEX .HTML index .html example .com end . next e . g . this",
        ),
        ("foo(); if (x) { bar('y'); }", "foo (); if ( x ) { bar (' y '); }"),
        ("a &lt; b &amp;&amp; c", "a &lt; b &amp; &amp; c"),
    ],
)
def test_words_numbers_and_operators(text, expected):
    assert words(text) == expected.split()


def test_no_character_is_lost_but_white_space():
    text = "if (a<b) {\n\tcall(x, 'é', \"漢字\"); // 😀 50% #tag\n}"
    assert "".join(words(text)) == "".join(text.split())


def test_pattern_characters_in_terms_are_literal():
    assert words("a.b axb a*b", ("a.b", "a*b", "[x]", "(?:", "\\d")) == ["a.b", "axb", "a*b"]


def test_without_terms_or_with_an_empty_one():
    for terms in ((), ("",)):
        assert words("c++ now", terms) == ["c", "++", "now"]


def test_a_plain_word_needs_no_alternative_in_the_pattern():
    assert [term for term in TERMS if not needs_rule(term)] == ["c", "numpy"]


def test_lower_case_drops_accents_and_cased_keeps_both():
    assert build_normalizer(True).normalize_str("Café\x00 NumPy") == "cafe numpy"
    assert build_normalizer(False).normalize_str("Café\x00 NumPy") == "Café NumPy"


BLOCKS = (
    *((0x00, 0x80), (0x80, 0x250), (0x300, 0x370), (0x370, 0x600), (0x600, 0x700), (0x900, 0xE80), (0x2000, 0x2070)),
    *((0x2190, 0x2800), (0x3000, 0x3100), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0xFB00, 0xFE00), (0x1F300, 0x1FA00)),
)


def made_up_texts() -> list[str]:
    """Text of every kind of character: letters of many scripts, marks, digits, symbols, controls, white space."""
    draw = random.Random(8)
    return ["".join(chr(draw.randrange(*draw.choice(BLOCKS))) for _ in range(80)) for _ in range(300)]


def test_words_beside_letters_of_scripts_without_spaces_are_whole():
    splitter = build_pretokenizer(TERMS, splits_runs=True)
    text = "node.js\u3067\u30c7\u30fc\u30bf.py\u306e\u3068\u304dC++\uc5d0\uc11c c#\u0e20\u0e32"
    found = [word for word, _ in splitter.pre_tokenize_str(text)]
    assert found == [
        *("node.js", "\u3067", "\u30c7\u30fc\u30bf", ".py", "\u306e\u3068\u304d", "C++", "\uc5d0\uc11c"),
        *("c#", "\u0e20\u0e32"),
    ]
    assert words("a std::vector<int> in INDEX.HTML") == [
        word for word, _ in splitter.pre_tokenize_str("a std::vector<int> in INDEX.HTML")
    ]


@pytest.mark.parametrize("lowercase", [True, False])
def test_no_word_spans_white_space(lowercase):
    splitter, normalizer = build_pretokenizer(TERMS), build_normalizer(lowercase)

    def split(text: str) -> list[str]:
        return [word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))]

    for text in [*made_up_texts(), "c++ 11 node .js a - b ( ) don 't"]:
        assert split(text) == [word for chunk in re.split("[ \\t\\r\\n]+", text) for word in split(chunk)]


@pytest.mark.parametrize("lowercase", [True, False])
def test_offsets_cover_any_text(lowercase):
    tokenizer = build_tokenizer([*SPECIALS, *"abc", "##a"], TERMS, lowercase)
    texts = [*made_up_texts(), "\x00", "a" * 10_000, "\ud800".encode("utf-8", "replace").decode(), ""]
    unknown = tokens = 0
    for text in texts:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        covered = set()
        for start, end in encoding.offsets:
            assert 0 <= start < end <= len(text)
            covered.update(range(start, end))
        left = "".join(character for index, character in enumerate(text) if index not in covered)
        # tokens leave out only what the normalizer removes: white space, controls, and accents where case is folded
        assert not tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(left)) or lowercase
        tokens += len(encoding.ids)
        unknown += encoding.tokens.count("[UNK]")
    print(f"unknown {unknown / tokens:.1%} of {tokens} tokens")
    assert tokens > 1_000
