"""Step-0 validation of checkpoints whose vocabulary is replaced by one of any kind: `python -m` this module.

A tiny BERT of each kind of tokenizer is trained on a few sentences of several languages in random order, which it soon
knows by heart; then it gets a vocabulary of each kind with whole words instead of pieces. A table shows the validation
bits per byte of each pair: the new tokens as the mean of their pieces, and random.
"""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from corpora.post import Post, read_posts
from pretrain.config import PretrainConfig
from pretrain.measure.compare_starts import compare_starts
from pretrain.run import run_pretraining
from tests.tokenizer.made_corpus import write_corpus
from tests.tokenizer.made_languages import SENTENCES
from tests.tokenizer.made_tokenizers import TEXTS, byte_level_json, xlm_roberta
from tokenizer.config import EncodeConfig, TokenizerConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.vocabulary.train import train_tokenizer

OLD_SIZE, NEW_SIZE = 400, 700
LANGUAGES = ("pt", "ru", "hi")
NUM_POSTS, SENTENCES_PER_POST = 400, 6
CONFIG = PretrainConfig(
    base="random-tiny", steps=600, batch_rows=16, learning_rate=3e-3, precision="float32", exports=0, evaluations=1
)


class Pair(NamedTuple):
    """Validation bits per byte at step 0 of one kind's checkpoint with another kind's vocabulary."""

    old: str
    new: str
    mean: float
    random: float
    note: str
    """How many tokens were copied, and so on."""


def made_posts() -> list[Post]:
    """Sentences in random order, a line each."""
    sentences = [*TEXTS, *(sentence for language in LANGUAGES for sentence in SENTENCES[language])]
    draw = random.Random(4)
    texts = ["\n".join(draw.choices(sentences, k=SENTENCES_PER_POST)) for _ in range(NUM_POSTS)]
    return [Post(str(n), "document", "", text) for n, text in enumerate(texts)]


def wordpiece(posts: Path, folder: Path, size: int) -> Path:
    """A code-aware vocabulary."""
    train_tokenizer(posts, folder, TokenizerConfig(vocab_size=size))
    return folder


def byte_level(posts: Path, folder: Path, size: int) -> Path:
    """RoBERTa's kind."""
    return byte_level_json(folder, texts_of(posts), size)


def sentencepiece(posts: Path, folder: Path, size: int) -> Path:
    """XLM-R's kind: a unigram model, whose ids transformers shifts. Half the size: the text has no more pieces."""
    return xlm_roberta(folder, texts_of(posts), size // 2)


KINDS: dict[str, Callable[[Path, Path, int], Path]] = {
    each.__name__: each for each in (wordpiece, byte_level, sentencepiece)
}


def texts_of(posts: Path) -> list[str]:
    """The lines of the corpus that hold text."""
    return [line for post in read_posts(posts) for line in post.text.split("\n") if line.strip()]


def measure_pairs(work: Path) -> list[Pair]:
    """Train a checkpoint of each kind in the folder `work`, and validate it with a new vocabulary of each kind."""
    posts = write_corpus(work / "posts", made_posts())
    trained: dict[str, Path] = {}
    rows: dict[str, Path] = {}
    for kind, build in KINDS.items():
        old, new = (build(posts, work / f"{kind}-{size}", size) for size in (OLD_SIZE, NEW_SIZE))
        for tokenizer in (old, new):
            out = work / f"rows-{tokenizer.name}"
            encode_rows(posts, tokenizer, out, EncodeConfig(row_length=64, validation_share=0.1))
        trained[kind], rows[kind] = work / f"trained-{kind}", work / f"rows-{new.name}"
        run_pretraining(work / f"rows-{old.name}", old, trained[kind], CONFIG)
    return [measure_pair(old, new, trained[old], rows[new], work) for old in KINDS for new in KINDS]


def measure_pair(old: str, new: str, base: Path, rows: Path, work: Path) -> Pair:
    """Validate the checkpoint `base` with the vocabulary of `rows`."""
    config = PretrainConfig(base=str(base), precision="float32", batch_rows=16)
    starts = {start.transfer: start for start in compare_starts(rows, work / f"{new}-{NEW_SIZE}", config)}
    return Pair(old, new, starts["mean"].bits_per_byte, starts["random"].bits_per_byte, starts["mean"].notes[-1])


def format_pairs(pairs: list[Pair]) -> str:
    """An aligned table."""
    lines = [f"{'old':<15}{'new':<15}{'mean':>7}{'random':>8}  bits per byte at step 0"]
    lines += [f"{pair.old:<15}{pair.new:<15}{pair.mean:>7.3f}{pair.random:>8.3f}  {pair.note}" for pair in pairs]
    return "\n".join(lines)


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        found = measure_pairs(Path(name))
    print(format_pairs(found))
    sys.exit(any(pair.mean >= pair.random for pair in found))
