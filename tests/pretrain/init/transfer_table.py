"""Step-0 validation of checkpoints whose vocabulary is replaced by one of any kind: `python -m` this module.

A tiny BERT of each kind of tokenizer is trained on the project's own documentation and sources; then it gets a smaller
vocabulary of each kind. A table shows the validation bits per byte of each pair: the new tokens as the mean of their
pieces, and random.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from corpora.post import Post, read_posts
from pretrain.config import PretrainConfig
from pretrain.measure.compare_starts import compare_starts
from pretrain.run import run_pretraining
from tests.paths import ROOT
from tests.tokenizer.made_corpus import write_corpus
from tests.tokenizer.made_tokenizers import byte_level_json, xlm_roberta
from tokenizer.config import EncodeConfig, TokenizerConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.vocabulary.train import train_tokenizer

OLD_SIZE, NEW_SIZE = 2_000, 1_500
STEPS = 250
CONFIG = PretrainConfig(
    base="random-tiny", steps=STEPS, batch_rows=16, learning_rate=2e-3, precision="float32", exports=0, evaluations=1
)
CHARACTERS_PER_POST = 1_000


class Pair(NamedTuple):
    """Validation bits per byte at step 0 of one kind's checkpoint with another kind's vocabulary."""

    old: str
    new: str
    mean: float
    random: float
    note: str
    """How many tokens were copied, and so on."""


def project_posts() -> list[Post]:
    """The documentation and sources of the project, in pieces."""
    paths = [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "tests").rglob("*.py"))]
    text = "\n".join(path.read_text("utf-8") for path in paths)
    starts = range(0, len(text), CHARACTERS_PER_POST)
    return [Post(str(n), "document", "", text[n : n + CHARACTERS_PER_POST]) for n in starts]


def wordpiece(posts: Path, folder: Path, size: int) -> Path:
    """A code-aware vocabulary."""
    train_tokenizer(posts, folder, TokenizerConfig(vocab_size=size))
    return folder


def byte_level(posts: Path, folder: Path, size: int) -> Path:
    """RoBERTa's kind."""
    return byte_level_json(folder, texts_of(posts), size)


def sentencepiece(posts: Path, folder: Path, size: int) -> Path:
    """XLM-R's kind: a unigram model, whose ids transformers shifts."""
    return xlm_roberta(folder, texts_of(posts), size)


KINDS: dict[str, Callable[[Path, Path, int], Path]] = {
    each.__name__: each for each in (wordpiece, byte_level, sentencepiece)
}


def texts_of(posts: Path) -> list[str]:
    """The lines of the corpus that hold text."""
    return [line for post in read_posts(posts) for line in post.text.split("\n") if line.strip()]


def measure_pairs(work: Path) -> list[Pair]:
    """Train a checkpoint of each kind in the folder `work`, and validate it with a new vocabulary of each kind."""
    posts = write_corpus(work / "posts", project_posts())
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
