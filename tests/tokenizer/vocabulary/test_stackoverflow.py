"""On real questions: the words that matter are one token each, and a text takes fewer tokens than with BERT's."""

from collections import Counter
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from corpora.build.build import build_corpus
from corpora.config import CorpusConfig, LabelConfig
from corpora.labels.label import build_labels
from corpora.post import is_in_share, read_posts, write_posts
from stackbert.core.artifact import build_artifact
from stackbert.core.checkpoints import resolve_base
from tests.paths import SHARED
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.reader import load_reader
from tokenizer.encoding.validation_split import is_validation_post
from tokenizer.vocabulary.train import train_tokenizer

SAMPLES = SHARED / "so"
TERMS = ("mysql", "node.js", "c++", "c#", ".net", "asp.net", "postgresql", "numpy")
TABLES = {"titles": {}, "questions": {"body_column": "body"}, "bodies": {"body_column": "body", "tags_column": None}}


def corpus(name: str, folder: Path, rows: int | None = None) -> Path:
    """The posts of one of the samples, or of its first rows."""
    if not (SAMPLES / f"{name}.parquet").exists():
        pytest.skip(f"the sample {name}.parquet is not here")
    pq.write_table(pq.read_table(SAMPLES / f"{name}.parquet").slice(0, rows), folder / f"{name}.parquet")
    columns = {"id_column": "id", "title_column": "title", "tags_column": "tags"} | TABLES[name]
    build_corpus(folder / name, CorpusConfig(source="table", path=f"{name}.parquet", **columns), folder)
    return folder / name


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stackoverflow")
    corpora = [corpus("questions", folder, 3_000), corpus("titles", folder, 60_000)]
    build_labels(corpora, folder / "labels", LabelConfig())
    return folder / "labels"


@pytest.fixture(scope="module")
def vocabulary(labels) -> Path:
    train_tokenizer(labels, labels.parent / "tokenizer", TokenizerConfig())
    return labels.parent / "tokenizer"


def test_terms_are_one_token_each_in_running_text(vocabulary):
    reader = load_reader(vocabulary)
    assert reader.vocab_size == 16_000
    for term in TERMS:
        for text in (f"I use {term}, and ({term}) works.", f"Why {term.upper()}? {term.title()}!"):
            tokens = reader.tokenizer.encode(text, add_special_tokens=False).tokens
            assert tokens.count(term) == 2, tokens


def test_auto_tokenizer_gives_our_ids_and_offsets_on_10_000_texts(vocabulary, labels):
    from transformers import AutoTokenizer

    texts = [post.whole_text[:2_000] for post in islice(read_posts(labels / "pretraining"), 10_000)]
    assert len(texts) == 10_000
    theirs = AutoTokenizer.from_pretrained(vocabulary)(texts, add_special_tokens=False, return_offsets_mapping=True)
    reader = load_reader(vocabulary)
    assert theirs["input_ids"] == [list(ids) for ids in reader.ids_without_specials(texts)]
    ours = reader.tokenizer.encode_batch(texts, add_special_tokens=False)
    assert theirs["offset_mapping"] == [encoding.offsets for encoding in ours]


@pytest.mark.slow
def test_30_522_tokens_keep_the_tags_and_need_a_fifth_fewer_tokens_than_bert(tmp_path):
    """Trained on questions, bodies and 80 % of the titles; compared on the other titles and on validation bodies."""
    posts, titles, bodies, tags = [], [], [], Counter[str]()
    for name in TABLES:
        for post in read_posts(corpus(name, tmp_path)):
            tags.update(post.tags)
            if name == "titles" and is_in_share(post.id, 0.2, "other titles"):
                titles.append(post.title)
                continue
            posts.append(post)
            if post.text and is_validation_post(post.id, TokenizerConfig().validation_share):
                bodies.append(post.whole_text)
    build_artifact(tmp_path / "posts", "corpora build", {}, {}, lambda out: {"kept": write_posts(posts, out)})
    train_tokenizer(tmp_path / "posts", tmp_path / "out", TokenizerConfig(vocab_size=30_522))
    ours = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    bert = load_reader(resolve_base("minilm")).tokenizer
    top = sorted(tags, key=lambda tag: (-tags[tag], tag))[:1_000]
    readers = {"ours": ours, "bert": bert}
    whole = {name: sum(_is_whole(tag, tokenizer) for tag in top) for name, tokenizer in readers.items()}
    ratios = [_tokens(bert, texts) / _tokens(ours, texts) for texts in (titles, bodies)]
    print(f"tags in one token: {whole}; bytes a token over BERT's: titles {ratios[0]:.4f}, bodies {ratios[1]:.4f}")
    assert whole["ours"] >= 980
    assert min(ratios) >= 1.20


def _is_whole(tag: str, tokenizer: Tokenizer) -> bool:
    """Whether a tag is one token both between words and between brackets."""
    text = f"how to use {tag} with x, or ({tag})?"
    found = tokenizer.encode(text, add_special_tokens=False).offsets
    return sum(text[start:end] == tag for start, end in found) == 2


def _tokens(tokenizer: Tokenizer, texts: list[str]) -> int:
    return sum(len(encoding.ids) for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False))
