"""Words counted in slices, with little memory, have the counts of the whole text."""

import random
from collections import Counter
from pathlib import Path

import pytest

from corpora.post import Post, write_posts
from stackbert.core import progress
from tokenizer.encoding.validation_split import is_validation_post
from tokenizer.vocabulary import word_counts
from tokenizer.vocabulary.pretokenizer import build_normalizer, build_pretokenizer
from tokenizer.vocabulary.word_counts import SliceCounter, WordCounter, count_tags, count_words, merge_runs

TERMS = ("c++", ".net", "asp.net", "node.js", "naïve-bayes")
PIECES = [
    *("C++", ".NET", "asp.net", "Node.js", "i++", "a.b", "user_id", "client-side", "don't", "();", "&lt;", "x.html"),
    *("Café", "e\u0301", "\u0301", "ΟΔΟΣ", "İ", "漢字", "ﬁ", "😀", "naïve-bayes", "###", "\ufffd", "\u202e"),
    *(" ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u2028", "\u3000", "\u200b"),
    *("\x00", "\x0b", "\x0c", "\x1c", "\x85", "(", ")", ",", "::", "->", "_", "12345", "3.5.1"),
]


def whole_text_counts(texts: list[str], lowercase: bool) -> dict[str, int]:
    normalizer, splitter = build_normalizer(lowercase), build_pretokenizer(TERMS)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    return dict(counts)


def random_texts(seed: int, number: int = 20) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(PIECES, k=60)) for _ in range(number)]


def counted(folder: Path, posts: list[Post], processes: int = 1, **settings) -> dict[str, int]:
    (folder / "posts").mkdir(parents=True)
    (folder / "scratch").mkdir()
    write_posts(posts, folder / "posts")
    options = {"terms": TERMS, "lowercase": True, "title_weight": 1, "validation_share": 0.0} | settings
    return dict(
        merge_runs(count_words(folder / "posts", SliceCounter(scratch=folder / "scratch", **options), processes))
    )


def as_posts(texts: list[str]) -> list[Post]:
    return [Post(str(number), "document", "", text) for number, text in enumerate(texts)]


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_counts_equal_those_of_the_whole_text(seed, lowercase, tmp_path):
    texts = random_texts(seed)
    assert counted(tmp_path, as_posts(texts), lowercase=lowercase) == whole_text_counts(texts, lowercase)


@pytest.mark.parametrize(
    "number", [*range(0x20), 0x7F, 0x85, 0xA0, 0xAD, 0x1680, 0x180E, 0x2028, 0x205F, 0x3000, 0xFEFF]
)
def test_every_space_and_control_character_splits_words_as_the_tokenizer_does(number, tmp_path):
    text = f"one{chr(number)}two"
    assert counted(tmp_path, as_posts([text])) == whole_text_counts([text], True)


def test_small_memory_limits_change_nothing_and_words_are_in_code_point_order(tmp_path):
    texts = random_texts(5, 200)
    plenty = counted(tmp_path / "plenty", as_posts(texts))
    little = counted(tmp_path / "little", as_posts(texts), max_chunks=50, max_words=20)
    assert len(list((tmp_path / "little" / "scratch").iterdir())) > 1
    assert little == plenty
    assert list(little) == sorted(little)


def test_several_processes_count_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(word_counts, "BYTES_PER_PROCESS", 1)
    monkeypatch.setattr("corpora.post.POSTS_PER_GROUP", 25)
    texts = random_texts(6, 300)
    assert counted(tmp_path / "two", as_posts(texts), processes=2) == counted(tmp_path / "one", as_posts(texts))


def test_a_large_corpus_is_counted_in_slices_and_shows_progress(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("corpora.post.POSTS_PER_GROUP", 25)
    texts = random_texts(6, 100)
    whole = counted(tmp_path / "whole", as_posts(texts))
    monkeypatch.setattr(word_counts, "MAX_SLICE_BYTES", 1)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    assert counted(tmp_path / "slices", as_posts(texts)) == whole
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"counting words: {n} of 4 slices" for n in range(1, 5)]
    assert all(" MB/s" in line for line in lines)


def test_titles_have_more_weight_and_an_answers_title_is_not_counted(tmp_path):
    posts = [Post("1", "question", "sort", "a list"), Post("2", "answer", "sort", "use sorted", parent_id="1")]
    assert counted(tmp_path, posts, title_weight=5) == {"sort": 5, "a": 1, "list": 1, "use": 1, "sorted": 1}


def test_validation_posts_are_not_counted(tmp_path):
    posts = [Post(str(number), "question", f"word{number}", "", (f"tag{number}",)) for number in range(300)]
    seen = {post.id for post in posts if not is_validation_post(post.id, 0.1)}
    assert 240 < len(seen) < 300
    assert set(counted(tmp_path, posts, validation_share=0.1)) == {f"word{number}" for number in seen}
    assert set(count_tags(tmp_path / "posts", 0.1)) == {f"tag{number}" for number in seen}


def test_python_and_the_library_split_into_the_same_words():
    chunks = Counter(chunk for text in random_texts(7, 200) for chunk in text.split())
    by_python, by_library = WordCounter(TERMS[:-1], True), WordCounter(TERMS[:-1], True)
    by_library._ascii = None
    found: list[dict[str, int]] = [{}, {}]
    by_python.count(chunks, found[0])
    by_library.count(chunks, found[1])
    assert by_python._ascii is not None
    assert found[0] == found[1]
