"""Reading speed beside transformers' BertTokenizerFast: the same text in the same run, in pairs."""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from corpora.post import Post, pretraining_posts, read_posts
from stackbert.core.errors import StackbertError
from tokenizer.config import ReadBenchConfig
from tokenizer.encoding.blocks import encode_posts
from tokenizer.encoding.packed_rows import identify_tokenizer
from tokenizer.encoding.reader import TEXTS_AT_ONCE, TextReader, load_reader


class Speeds(NamedTuple):
    """One pair's megabytes of text a second of processor time."""

    transformers: float
    """To ids, by BertTokenizerFast."""
    ids: float
    """To ids, by ours, which begins with nothing remembered."""
    rows: float
    """To packed rows, by ours: read, cut and packed."""


def bench_reading(posts: Path, tokenizer: Path, base: Path, config: ReadBenchConfig) -> list[Speeds]:
    """Read the posts with `tokenizer` our way and with the BERT tokenizer of `base` through transformers.

    Where both are the same the ids are compared too. Raises StackbertError where they differ.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one core each
    chosen = _first_posts(pretraining_posts(posts), config.megabytes * 1e6)
    texts = [post.whole_text for post in chosen]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    same = identify_tokenizer(tokenizer) == identify_tokenizer(base)
    peer = _peer(base)
    if same and peer(texts) != list(load_reader(tokenizer).ids_without_specials(texts)):
        raise StackbertError(f"{base}: our ids differ from those of transformers; please report this")

    print(f"{megabytes:.1f} MB of text; MB a second of processor time")
    runs: list[Callable[[], float]] = [
        lambda: _seconds(lambda: peer(texts)),
        lambda: _seconds_of_new(tokenizer, lambda reader: list(reader.ids_without_specials(texts))),
        lambda: _seconds_of_new(tokenizer, lambda reader: encode_posts(chosen, reader, config.row_length)),
    ]
    found = []
    for number in range(config.pairs):
        order = (0, 1, 2) if number % 2 == 0 else (2, 1, 0)
        seconds = {place: runs[place]() for place in order}
        found.append(Speeds(*(megabytes / seconds[place] for place in range(3))))
        print(_line(f"pair {number + 1}", found[-1]))
    print(_line("median", Speeds(*map(statistics.median, zip(*found, strict=True)))))
    return found


def _peer(base: Path) -> Callable[[list[str]], list[list[int]]]:
    """Texts to ids through transformers, a thousand at a time."""
    from transformers import BertTokenizerFast  # type: ignore[attr-defined] # slow to import

    try:
        tokenizer = BertTokenizerFast.from_pretrained(str(base), local_files_only=True)
    except Exception as error:  # a broken file raises many kinds, down to the Exception of the Rust library
        raise StackbertError(f"{base}: no BERT tokenizer can be loaded from it: {error}") from error
    settings = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
    return lambda texts: [
        ids
        for start in range(0, len(texts), TEXTS_AT_ONCE)
        for ids in tokenizer(texts[start : start + TEXTS_AT_ONCE], **settings)["input_ids"]
    ]


def _seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def _seconds_of_new(tokenizer: Path, run: Callable[[TextReader], object]) -> float:
    """The time of `run` with a reader that has read nothing yet."""
    reader = load_reader(tokenizer)
    return _seconds(lambda: run(reader))


def _line(name: str, speeds: Speeds) -> str:
    peer = speeds.transformers
    return (
        f"{name}: BertTokenizerFast {peer:.2f}, ours to ids {speeds.ids:.2f} ({speeds.ids / peer:.1f}x), "
        f"ours to packed rows {speeds.rows:.2f} ({speeds.rows / peer:.1f}x)"
    )


def _first_posts(folder: Path, most_bytes: float) -> list[Post]:
    """The corpus's first posts, as many as reach so many bytes."""
    posts: list[Post] = []
    size = 0
    for post in read_posts(folder):
        posts.append(post)
        size += len(post.whole_text.encode())
        if size >= most_bytes:
            break
    return posts
