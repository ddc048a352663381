"""Vocabularies of technical text: terms and tags are one token each, and texts take fewer tokens than with BERT's.

Each rule is tested on posts made here and, where they are available, on samples of Stack Overflow.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from corpora.build.build import build_corpus
from corpora.config import CorpusConfig, LabelConfig
from corpora.labels.label import build_labels
from corpora.post import is_in_share, read_posts
from stackbert.core.checkpoints import resolve_base
from tests.paths import SHARED
from tests.tokenizer.made_corpus import random_posts, write_corpus
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.reader import load_reader
from tokenizer.encoding.validation_split import is_validation_post
from tokenizer.report.measures import tag_is_whole
from tokenizer.vocabulary.train import train_tokenizer

SAMPLES = SHARED / "so"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no folder {SAMPLES} with Stack Overflow samples")

TERMS = ("mysql", "node.js", "c++", "c#", ".net", "asp.net", "postgresql", "numpy")
TABLES: dict[str, dict[str, str | None]] = {
    "titles": {},
    "questions": {"body_column": "body"},
    "bodies": {"body_column": "body", "tags_column": None},
}


def sample_corpus(name: str, folder: Path, rows: int | None = None) -> Path:
    """The posts of one of the samples, or of its first rows."""
    pq.write_table(pq.read_table(SAMPLES / f"{name}.parquet").slice(0, rows), folder / f"{name}.parquet")
    columns = {"id_column": "id", "title_column": "title", "tags_column": "tags"} | TABLES[name]
    build_corpus(folder / name, CorpusConfig(source="table", path=f"{name}.parquet", **columns), folder)
    return folder / name


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stackoverflow")
    corpora = [sample_corpus("questions", folder, 3_000), sample_corpus("titles", folder, 60_000)]
    build_labels(corpora, folder / "labels", LabelConfig())
    return folder / "labels"


@pytest.fixture(scope="module")
def vocabulary(labels) -> Path:
    train_tokenizer(labels, labels.parent / "tokenizer", TokenizerConfig())
    return labels.parent / "tokenizer"


def check_terms(vocabulary: Path, terms: Iterable[str]) -> None:
    tokenizer = load_reader(vocabulary).tokenizer
    for term in terms:
        for text in (f"I use {term}, and ({term}) works.", f"Why {term.upper()}? {term.title()}!"):
            tokens = tokenizer.encode(text, add_special_tokens=False).tokens
            assert tokens.count(term) == 2, tokens


def check_transformers(vocabulary: Path, texts: list[str]) -> None:
    """Check that transformers gives our ids and offsets."""
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(vocabulary)(texts, add_special_tokens=False, return_offsets_mapping=True)
    reader = load_reader(vocabulary)
    assert theirs["input_ids"] == [list(ids) for ids in reader.ids_without_specials(texts)]
    ours = reader.tokenizer.encode_batch(texts, add_special_tokens=False)
    assert theirs["offset_mapping"] == [encoding.offsets for encoding in ours]


def bert_ratio(vocabulary: Path, texts: list[str]) -> float:
    """BERT's number of tokens for the texts, divided by the vocabulary's."""
    bert, ours = load_reader(resolve_base("minilm")).tokenizer, load_reader(vocabulary).tokenizer
    return num_tokens(bert, texts) / num_tokens(ours, texts)


def num_tokens(tokenizer: Tokenizer, texts: list[str]) -> int:
    return sum(len(encoding.ids) for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False))


def test_terms_of_made_posts_are_one_token_each(trained):
    check_terms(trained, sorted(set(TERMS) - {"postgresql"}))


def test_auto_tokenizer_gives_our_ids_and_offsets_on_made_posts(trained):
    check_transformers(trained, [post.whole_text for post in random_posts()])


def test_made_posts_keep_their_tags_and_need_a_fifth_fewer_tokens_than_bert(trained):
    assert tag_is_whole(load_reader(trained), "mysql") and tag_is_whole(load_reader(trained), "std::vector")
    assert bert_ratio(trained, [post.whole_text for post in random_posts()]) >= 1.20


@needs_samples
def test_terms_are_one_token_each_in_running_text(vocabulary):
    assert load_reader(vocabulary).vocab_size == 16_000
    check_terms(vocabulary, TERMS)


@needs_samples
def test_auto_tokenizer_gives_our_ids_and_offsets_on_10_000_texts(vocabulary, labels):
    texts = [post.whole_text[:2_000] for post in islice(read_posts(labels / "pretraining"), 10_000)]
    assert len(texts) == 10_000
    check_transformers(vocabulary, texts)


@needs_samples
@pytest.mark.slow
def test_30_522_tokens_keep_the_tags_and_need_a_fifth_fewer_tokens_than_bert(tmp_path):
    """Trained on questions, bodies and 80 % of the titles; compared on the other titles and on validation bodies."""
    posts, titles, bodies, tags = [], [], [], Counter[str]()
    for name in TABLES:
        for post in read_posts(sample_corpus(name, tmp_path)):
            tags.update(post.tags)
            if name == "titles" and is_in_share(post.id, 0.2, "other titles"):
                titles.append(post.title)
                continue
            posts.append(post)
            if post.text and is_validation_post(post.id, TokenizerConfig().validation_share):
                bodies.append(post.whole_text)
    train_tokenizer(write_corpus(tmp_path / "posts", posts), tmp_path / "out", TokenizerConfig(vocab_size=30_522))
    frequent = sorted(tags, key=lambda tag: (-tags[tag], tag))[:1_000]
    reader = load_reader(tmp_path / "out")
    num_whole = sum(tag_is_whole(reader, tag) for tag in frequent)
    ratios = [bert_ratio(tmp_path / "out", texts) for texts in (titles, bodies)]
    print(f"tags in one token: {num_whole}; BERT's tokens over ours: titles {ratios[0]:.4f}, bodies {ratios[1]:.4f}")
    assert num_whole >= 980
    assert min(ratios) >= 1.20
