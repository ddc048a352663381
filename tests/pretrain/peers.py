"""Tokens a second of a training step, ours and other implementations', in turn on one machine.

    python -m tests.pretrain.peers --keras K/bin/python --torch T/bin/python --transformers F/bin/python

Each Python is one that the peer's script asks for (../shared/bench/README.md); a peer without one is left out. The
model is the scripts' own: 6 layers, 384 wide, a vocabulary of 30,522. Every run is a process of its own, round after
round, so that a drift of the machine meets all of them. With --posts, tokens become bytes of text, in rows filled as
each tool fills them: ours packed, transformers' examples cut from one long stream, keras-hub's each a text, padded.

    python -m tests.pretrain.peers --modernbert --torch T/bin/python --row-lengths 512 2048

compares a training step of a ModernBERT of Ettin 32M's sizes with PyTorch's, from one checkpoint of random weights
(`tests/pretrain/torch_step.py`).
"""

import re
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import tyro

from corpora.post import count_posts, pretraining_posts, read_posts
from pretrain.model.architecture import read_architecture
from pretrain.model.checkpoint import Checkpoint, random_weights, save_checkpoint
from stackbert.core.checkpoints import resolve_base
from tests.paths import SHARED
from tokenizer.config import EncodeConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.encoding.packed_rows import load_rows
from tokenizer.encoding.reader import load_reader

BENCH = SHARED / "bench"
ETTIN_32M = {"vocab_size": 50_368, "hidden_size": 384, "num_hidden_layers": 10, "num_attention_heads": 6}
ETTIN_32M |= {"intermediate_size": 576, "max_position_embeddings": 8_192}  # 31.9 million weights
STEPS = 10
SAMPLE = 5_000  # posts, of which the bytes in a row are told
FILLED = {"stackbert": "packed", "PyTorch": "cut", "transformers TF": "cut", "keras-hub": "padded"}
OURS = {"fp32": "float32", "bf16": "bfloat16"}


@dataclass(frozen=True)
class Comparison:
    """What to run."""

    keras: str = ""
    """Python with tensorflow-cpu and keras-hub."""
    torch: str = ""
    """Python with torch and transformers."""
    transformers: str = ""
    """Python with tensorflow-cpu, tf-keras and a transformers that still has TensorFlow models."""
    row_lengths: tuple[int, ...] = (128,)
    batch_tokens: int = 4_096
    """Tokens in a step: of longer rows there are fewer."""
    precisions: tuple[str, ...] = ("fp32", "bf16")
    """Of the peers; bf16 takes them long where the processor has none."""
    modes: tuple[str, ...] = ("graph", "jit")
    """How TensorFlow's peers run a step."""
    steps: int = STEPS
    """Timed steps, where the script lets one choose: ours and PyTorch's."""
    rounds: int = 3
    posts: Path | None = None
    """Corpus or labelled set whose text the rows would hold."""
    modernbert: bool = False
    """Compare steps of a ModernBERT, with PyTorch only."""
    attentions: tuple[str, ...] = ("sdpa", "eager")
    """Of PyTorch's ModernBERT; 'sdpa,compile' for torch.compile."""


def row_bytes(posts: Path, length: int) -> dict[str, float]:
    """UTF-8 bytes of text in a row of `length` tokens of BERT's vocabulary, by the way in which rows are filled."""
    base, folder = resolve_base("minilm"), pretraining_posts(posts)
    texts = [post.whole_text for post in islice(read_posts(folder), 0, None, -(-count_posts(folder) // SAMPLE))]
    encodings = load_reader(base).tokenizer.encode_batch(texts)
    total = sum(len(text.encode()) for text in texts)
    ends = [max(end for _, end in encoding.offsets[: length - 1]) for encoding in encodings]
    shown = sum(len(text[:end].encode()) for text, end in zip(texts, ends, strict=True))
    with tempfile.TemporaryDirectory() as scratch:
        rows = Path(scratch) / "rows"
        encode_rows(posts, base, rows, EncodeConfig(row_length=length, max_posts=SAMPLE))
        packed = load_rows(rows, "train")
        ours = packed.text_bytes / len(packed.ids)
    return {"packed": ours, "cut": total / (sum(map(len, encodings)) / length), "padded": shown / len(texts)}


def commands(asked: Comparison, length: int) -> dict[str, list[str]]:
    """Name -> command that prints its rate."""
    size = [str(asked.batch_tokens // length), str(length)]
    ours = [sys.executable, "-m", "stackbert", "pretrain", "bench", "--row-length", str(length)]
    found = {
        f"stackbert {precision}": [
            *ours,
            "--steps",
            str(asked.steps),
            "--batch-rows",
            size[0],
            "--precision",
            precision,
        ]
        for precision in (OURS[each] for each in asked.precisions)
    }
    for precision in asked.precisions:
        for mode in asked.modes:
            if asked.keras:
                script = [asked.keras, str(BENCH / "keras_hub_mlm.py")]
                found[f"keras-hub {precision} {mode}"] = [*script, precision, *size, mode]
            if asked.transformers:
                script = [asked.transformers, str(BENCH / "transformers_tf_mlm.py")]
                found[f"transformers TF {precision} {mode}"] = [*script, precision, *size, mode]
        if asked.torch:
            script = [asked.torch, str(BENCH / "torch_mlm.py")]
            found[f"PyTorch {precision}"] = [*script, precision, *size, str(asked.steps)]
    return found


def modernbert_commands(asked: Comparison, length: int, folder: Path) -> dict[str, list[str]]:
    """Name -> command that prints the rate of the checkpoint in `folder`."""
    rows, steps = str(asked.batch_tokens // length), str(asked.steps)
    ours = [sys.executable, "-m", "stackbert", "pretrain", "bench", "--model", str(folder), "--precision"]
    size = ["--row-length", str(length), "--batch-rows", rows, "--steps", steps]
    found = {f"stackbert {OURS[each]}": [*ours, OURS[each], *size] for each in asked.precisions}
    for attention in asked.attentions:
        for mode in (
            attention if precision == "fp32" else f"{attention},{precision}" for precision in asked.precisions
        ):
            script = [asked.torch, str(Path(__file__).with_name("torch_step.py"))]
            found[f"PyTorch {mode}"] = [*script, str(folder), rows, str(length), steps, mode]
    return found


def write_modernbert(folder: Path) -> None:
    """A checkpoint of Ettin 32M's sizes, with random weights."""
    config = ETTIN_32M | {"model_type": "modernbert"}
    architecture = read_architecture(config, "Ettin 32M")
    checkpoint = Checkpoint(architecture, config, random_weights(architecture, 0), has_mlm_head=True)
    save_checkpoint(checkpoint, folder, folder)


def rate_of(command: list[str]) -> tuple[float, str]:
    """Tokens a second that a command printed, and its share of the machine's ceiling where it says so."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"([\d,]+) tok(?:ens)?/s", done.stdout)
    if not found:
        return 0.0, (done.stderr.strip().splitlines() or ["nothing printed"])[-1][:80]
    share = re.search(r"(\d+)% of the machine's", done.stdout)
    return float(found[1].replace(",", "")), f"{share[1]} % of the ceiling" if share else ""


def main(asked: Comparison) -> None:
    """Run everything and print medians, and how many times each peer's rate our best is."""
    if not asked.modernbert and not BENCH.is_dir():
        sys.exit(f"{BENCH}: the peers' scripts are not there")
    with tempfile.TemporaryDirectory() as folder:
        if asked.modernbert:
            write_modernbert(Path(folder))
        compare(asked, Path(folder))


def compare(asked: Comparison, folder: Path) -> None:
    """As `main`; `folder` holds the ModernBERT."""
    for length in asked.row_lengths:
        found = modernbert_commands(asked, length, folder) if asked.modernbert else commands(asked, length)
        rates, notes = defaultdict(list), {}
        for number in range(asked.rounds):
            for name, command in found.items():
                rate, notes[name] = rate_of(command)
                rates[name].append(rate)
                print(f"round {number + 1}, rows of {length}: {name} {rate:,.0f}", file=sys.stderr, flush=True)
        medians = {name: statistics.median(each) for name, each in rates.items()}
        filled = row_bytes(asked.posts, length) if asked.posts else {}
        print(f"\n{asked.batch_tokens // length} rows of {length}, medians of {asked.rounds} rounds")
        print("\n".join(table(medians, {way: count / length for way, count in filled.items()}, notes)), flush=True)


def table(rates: dict[str, float], token_bytes: dict[str, float], notes: dict[str, str]) -> list[str]:
    """Lines of rates, quickest first, and how many times each one our best is; text where a token's bytes are known."""
    texts = {}
    for name, rate in rates.items():
        way = next(way for tool, way in FILLED.items() if name.startswith(tool))
        texts[name] = rate * token_bytes.get(way, 0.0)
    best, best_text = (max(each[name] for name in each if name.startswith("stackbert")) for each in (rates, texts))
    lines = []
    for name, rate in sorted(rates.items(), key=lambda item: -item[1]):
        ratio = f"{best / rate:.2f}x" if rate else "failed"
        text = f"{texts[name] / 1e3:>8.2f} kB of text/s {best_text / texts[name]:>6.2f}x" if texts[name] else ""
        lines.append(f"{name:<32}{rate:>10,.0f} tokens/s{ratio:>8}{text}  {notes[name]}")
    return lines


if __name__ == "__main__":
    main(tyro.cli(Comparison))
