"""Encoding chunk by chunk gives the ids of plain encoding for every text; other tokenizers encode whole texts."""

import json
import random
import sys
from collections.abc import Iterable

import numpy as np
import pyarrow.parquet as pq
import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from stackbert.core.checkpoints import resolve_base
from tests.paths import SHARED
from tests.tokenizer.made_corpus import random_posts
from tests.tokenizer.made_languages import SENTENCES
from tokenizer.encoding import cached_tokenizer as cached_tokenizer_module
from tokenizer.encoding.cached_tokenizer import CachedTokenizer, is_cacheable
from tokenizer.encoding.reader import load_reader
from tokenizer.files.token_notation import SPECIALS
from tokenizer.vocabulary.export import build_tokenizer
from tokenizer.vocabulary.pretokenizer import build_normalizer, build_pretokenizer

SAMPLES = SHARED / "so"
TERMS = ("c++", ".net", "asp.net", "node.js", "objective-c")
PIECES = [
    *(
        "C++11",
        ".NET",
        "asp.net",
        "Node.js",
        "i++;",
        "a.b(c)",
        "Café",
        "e\u0301",
        "\u0301",
        "ΟΔΟΣ",
        "İ",
        "漢字",
        "ﬁ",
        "😀",
    ),
    *("[MASK]", "[UNK]", "##ing", "\u212a", "\x7f", "\u00ad", "\ud800", "\udc80", "\ufffd", "\u202e", "\u2581"),
    *(" ", "\t", "\n", "\n\n", "\r\n", "\u00a0", "\u2003", "\u2028", "\u3000", "\u200b", "\u0085", "\u1680", "\u180e"),
    *map(chr, range(0x20)),
    *("(", "'", "::", "->", "_", "0x7fff", "12345", "\\n", "</a>", "w" * 101),
]


def build_bert(normalizer: normalizers.Normalizer, splitter: pre_tokenizers.PreTokenizer) -> Tokenizer:
    """A WordPiece tokenizer of single characters and a few words."""
    characters = [chr(number) for number in range(0x21, 0x180)] + list("漢字σοδ")
    tokens = [*SPECIALS, *characters, *(f"##{c}" for c in characters), "cafe", "net", "##net", "node.js", "c++", "mask"]
    tokenizer = Tokenizer(
        models.WordPiece({token: n for n, token in enumerate(dict.fromkeys(tokens))}, unk_token=SPECIALS[1])
    )
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.encode_special_tokens = True
    return tokenizer


def build_byte_level() -> Tokenizer:
    """A byte-level model, in which spaces are part of words."""
    vocabulary = {character: number for number, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


TOKENIZERS = {
    "BERT's": build_bert(normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
    "BERT's, cased": build_bert(normalizers.BertNormalizer(lowercase=False), pre_tokenizers.BertPreTokenizer()),
    "unclean": build_bert(
        normalizers.BertNormalizer(clean_text=False, strip_accents=False), pre_tokenizers.BertPreTokenizer()
    ),
    "ours": build_bert(build_normalizer(True), build_pretokenizer(TERMS)),
    "ours, cased": build_bert(build_normalizer(False), build_pretokenizer(TERMS)),
    "ours, with accents": build_bert(build_normalizer(True, keeps_accents=True), build_pretokenizer(TERMS)),
    "ours, of any script": build_bert(
        build_normalizer(True, keeps_accents=True), build_pretokenizer(TERMS, splits_runs=True)
    ),
    "other splits": build_bert(
        normalizers.BertNormalizer(),
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.WhitespaceSplit(),
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.Split(Regex("e"), "removed"),
            ]
        ),
    ),
    "byte-level": build_byte_level(),
}
by_name = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)


def plain(tokenizer: Tokenizer, texts: Iterable[str]) -> list[list[int]]:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]


def by_chunk(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [ids.tolist() for ids in CachedTokenizer(tokenizer).encode(texts).of_each_text()]


@by_name
def test_ids_equal_plain_encodings(tokenizer):
    draw = random.Random(5)
    planes = (0x80, 0x800, 0x10000, sys.maxunicode + 1)
    texts = ["".join(draw.choices(PIECES, k=draw.randrange(60))) for _ in range(400)]
    texts += [" ".join(draw.choices(PIECES, k=20)) for _ in range(100)]
    texts += ["".join(chr(draw.randrange(draw.choice(planes))) for _ in range(100)) for _ in range(100)]
    texts += [
        "".join(draw.choices([*"".join(sentences), "c++", "node.js", ".js", " ", "."], k=200))
        for sentences in SENTENCES.values()
    ]
    texts += [sentence for sentences in SENTENCES.values() for sentence in sentences]
    assert by_chunk(tokenizer, texts) == plain(tokenizer, texts)


@pytest.mark.parametrize("tokenizer", [TOKENIZERS[name] for name in ("BERT's", "unclean", "ours, cased")])
def test_every_character_of_the_basic_plane_between_words_and_in_one(tokenizer):
    numbers = [*range(0x2100), *range(0x3000, 0x3010), *range(0xD7F0, 0xE010), *range(0xF8F0, 0x10010)]
    texts = [f"one{chr(n)}two {chr(n)}c++ {chr(n)}\n{chr(n)}" for n in numbers]
    assert by_chunk(tokenizer, texts) == plain(tokenizer, texts)


@pytest.mark.parametrize("texts", [[], [""], ["", "", ""], [" \n"], ["a"], ["", "a", ""], ["a ", " b"], ["\x00", "a"]])
def test_texts_without_words(texts):
    for tokenizer in TOKENIZERS.values():
        assert by_chunk(tokenizer, texts) == plain(tokenizer, texts)


def test_a_small_cache_gives_the_same_ids(monkeypatch):
    monkeypatch.setattr(cached_tokenizer_module, "MAX_CACHED_CHARACTERS", 50)
    draw = random.Random(6)
    tokenizer = TOKENIZERS["ours"]
    cached = CachedTokenizer(tokenizer)
    for _ in range(30):
        texts = [" ".join(draw.choices(PIECES, k=20)) for _ in range(3)]
        assert [ids.tolist() for ids in cached.encode(texts).of_each_text()] == plain(tokenizer, texts)
        assert len(cached._chunks._entries) <= 60


def test_only_tokenizers_that_never_match_across_white_space_are_cached():
    declared = {name: is_cacheable(json.loads(tokenizer.to_str())) for name, tokenizer in TOKENIZERS.items()}
    assert declared == {name: name != "byte-level" for name in TOKENIZERS}
    with_added = build_bert(normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer())
    with_added.add_tokens([AddedToken("two words", normalized=True)])
    assert not is_cacheable(json.loads(with_added.to_str()))
    assert by_chunk(with_added, ["one two words"]) == plain(with_added, ["one two words"])
    metaspace = build_bert(normalizers.BertNormalizer(), pre_tokenizers.Metaspace())
    assert not is_cacheable(json.loads(metaspace.to_str()))


def splitting(pattern: str) -> Tokenizer:
    steps = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(pattern), "isolated")]
    return build_bert(normalizers.BertNormalizer(), pre_tokenizers.Sequence(steps))


HARD = ["aaaa fax ss.x() !!", "net-cafe", "c++ net net. cafe_net", "a\nb .5 -x-"]


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"\w+", r"\h", r"[a-z&&[^x]]", r"[[:punct:]]", r"\P{L}", r"\p{Lu}", r"a{2}+", "(?i:ß)"),
        *(r"[^a-z]+", r"a(?=.)", r"^a", r"net$", r"a(?!\s)", r"net\b", "a(?=\n)"),
    ],
)
def test_pattern_that_python_may_match_differently_is_left_to_the_library(pattern):
    tokenizer = splitting(pattern)
    assert CachedTokenizer(tokenizer)._word_pattern is None
    assert by_chunk(tokenizer, HARD) == plain(tokenizer, HARD)


@pytest.mark.parametrize("pattern", [r"\p{L}+", r"(?<!\p{L})net(?![.])|[^\s]", r"(?>net|ne)|[^\sn]+|n", r"[.(]+|\p{N}"])
def test_pattern_translated_for_python_splits_as_in_the_library(pattern):
    tokenizer = splitting(pattern)
    assert CachedTokenizer(tokenizer)._word_pattern is not None
    assert by_chunk(tokenizer, HARD) == plain(tokenizer, HARD)


def test_our_pattern_and_berts_are_translated():
    names = [name for name in TOKENIZERS if name.startswith("ours") or name in ("BERT's", "unclean")]
    assert len(names) == 6
    assert all(CachedTokenizer(TOKENIZERS[name])._word_pattern for name in names)


def test_cached_and_whole_encoding_find_the_same_chunks_and_line_ends():
    texts = ["one two\nthree\n\n  node.js, c++ \r\n\r\n x", "", "\n a\n", "漢字 b\n\n\nc"]
    tokenizer = TOKENIZERS["ours"]
    one, two = CachedTokenizer(tokenizer).encode(texts), CachedTokenizer(tokenizer, by_chunk=False).encode(texts)
    for name, cached, whole in zip(one._fields, one, two, strict=True):
        firsts = np.isin(one.chunks_C, one.texts_N1)
        if name == "newlines_C":  # line ends before the first chunk belong to the text before
            cached, whole = cached[~firsts], whole[~firsts]
        assert cached.tolist() == whole.tolist(), name


@pytest.fixture(scope="module")
def real_texts() -> list[str]:
    rows = next(pq.ParquetFile(SAMPLES / "bodies.parquet").iter_batches(batch_size=10_000, columns=["body"]))
    return [text[:150] for text in rows.column("body").to_pylist()]


def tokenizer_for(name: str, texts: list[str]) -> Tokenizer:
    """MiniLM's, or one with the words of the texts."""
    if name == "minilm":
        return load_reader(resolve_base("minilm")).tokenizer
    words = dict.fromkeys(word for text in texts for word in text.lower().split())
    alphabet = [chr(number) for number in range(0x21, 0x7F)]
    tokens = dict.fromkeys([*SPECIALS, *alphabet, *(f"##{c}" for c in alphabet), *words])
    tokenizer = build_tokenizer(list(tokens), TERMS, lowercase=True)
    tokenizer.encode_special_tokens = True
    return tokenizer


@pytest.mark.parametrize("name", ["ours", "minilm"])
def test_posts_have_the_ids_of_plain_encoding(name):
    texts = [post.whole_text for post in random_posts()]
    tokenizer = tokenizer_for(name, texts)
    assert CachedTokenizer(tokenizer).by_chunk
    assert by_chunk(tokenizer, texts) == plain(tokenizer, texts)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no folder {SAMPLES} with Stack Overflow samples")
@pytest.mark.parametrize("name", ["ours", "minilm"])
def test_ten_thousand_real_texts_have_the_ids_of_plain_encoding(real_texts, name):
    tokenizer = tokenizer_for(name, real_texts[:500])
    assert len(real_texts) == 10_000
    assert CachedTokenizer(tokenizer).by_chunk
    assert by_chunk(tokenizer, real_texts) == plain(tokenizer, real_texts)
