"""Encoding speed compared with transformers' BertTokenizerFast: the same text in the same process, in pairs."""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tokenizers.models import WordPiece

from corpora.post import Post, pretraining_posts, read_posts
from stackbert.core.errors import StackbertError
from tokenizer.config import EncodeBenchConfig
from tokenizer.encoding.blocks import encode_posts
from tokenizer.encoding.packed_rows import identify_tokenizer
from tokenizer.encoding.reader import TEXTS_PER_BATCH, TextReader, load_reader
from tokenizer.files.tokenizer_files import load_tokenizer


class Speeds(NamedTuple):
    """Megabytes of text per second of processor time, of one pair."""

    transformers: float
    """BertTokenizerFast, texts to ids."""
    ids: float
    """Ours, texts to ids, with an empty cache at the start."""
    rows: float
    """Ours, texts to packed rows."""


def bench_encoding(posts: Path, tokenizer: Path, base: Path, config: EncodeBenchConfig) -> list[Speeds]:
    """Encode the posts with our reader of `tokenizer`, and with the BERT tokenizer of `base` in transformers.

    If both tokenizers are the same, the ids are compared first; raises StackbertError if they differ.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one core for each side
    chosen = _first_posts(pretraining_posts(posts), config.megabytes * 1e6)
    texts = [post.whole_text for post in chosen]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    is_same = identify_tokenizer(tokenizer) == identify_tokenizer(base)
    encode_peer = _load_peer(base)
    if is_same and encode_peer(texts) != list(load_reader(tokenizer).ids_without_specials(texts)):
        raise StackbertError(f"{base}: our ids differ from those of transformers; please report this")

    print(f"{megabytes:.1f} MB of text; speeds in MB per second of processor time")
    timers: list[Callable[[], float]] = [
        lambda: _seconds(lambda: encode_peer(texts)),
        lambda: _seconds_of_new(tokenizer, lambda reader: list(reader.ids_without_specials(texts))),
        lambda: _seconds_of_new(tokenizer, lambda reader: encode_posts(chosen, reader, config.row_length)),
    ]
    found = []
    for number in range(config.pairs):
        order = (0, 1, 2) if number % 2 == 0 else (2, 1, 0)
        seconds = {side: timers[side]() for side in order}
        found.append(Speeds(*(megabytes / seconds[side] for side in range(3))))
        print(_line(f"pair {number + 1}", found[-1]))
    print(_line("median", Speeds(*map(statistics.median, zip(*found, strict=True)))))
    return found


def _load_peer(base: Path) -> Callable[[list[str]], list[list[int]]]:
    """A function from texts to ids that uses transformers, in batches of TEXTS_PER_BATCH."""
    from transformers import BertTokenizerFast  # type: ignore[attr-defined] # slow to import

    if not isinstance(load_tokenizer(base).backend_tokenizer.model, WordPiece):
        raise StackbertError(f"{base}: no BERT tokenizer; name a base with a WordPiece vocabulary")
    try:
        tokenizer = BertTokenizerFast.from_pretrained(str(base), local_files_only=True)
    except Exception as error:  # broken files raise many types, among them plain Exception from the Rust library
        raise StackbertError(f"{base}: no BERT tokenizer can be loaded from it: {error}") from error
    settings = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
    return lambda texts: [
        ids
        for start in range(0, len(texts), TEXTS_PER_BATCH)
        for ids in tokenizer(texts[start : start + TEXTS_PER_BATCH], **settings)["input_ids"]
    ]


def _seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def _seconds_of_new(tokenizer: Path, run: Callable[[TextReader], object]) -> float:
    """The time of `run` with a new reader, whose cache is empty."""
    reader = load_reader(tokenizer)
    return _seconds(lambda: run(reader))


def _line(name: str, speeds: Speeds) -> str:
    peer = speeds.transformers
    return (
        f"{name}: BertTokenizerFast {peer:.2f}, ours to ids {speeds.ids:.2f} ({speeds.ids / peer:.1f}x), "
        f"ours to packed rows {speeds.rows:.2f} ({speeds.rows / peer:.1f}x)"
    )


def _first_posts(folder: Path, most_bytes: float) -> list[Post]:
    """The first posts of the corpus, up to the one that reaches `most_bytes` of text."""
    posts: list[Post] = []
    size = 0
    for post in read_posts(folder):
        posts.append(post)
        size += len(post.whole_text.encode())
        if size >= most_bytes:
            break
    return posts
