"""The commands 'stackbert tokenizer VERB'; each imports its implementation when it runs."""

from collections.abc import Callable
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from stackbert.core.checkpoints import resolve_base
from stackbert.core.home import PathText
from tokenizer.config import EncodeBenchConfig, EncodeConfig, ReportConfig, TokenizerConfig


def train(posts: Positional[Path], config: OmitArgPrefixes[TokenizerConfig], out: Path) -> None:
    """Train a code-aware WordPiece vocabulary.

    Args:
        posts: Output of 'corpora label' (its pretraining text is used) or 'corpora build'.
        out: Folder to write.
    """
    from tokenizer.vocabulary.train import train_tokenizer

    train_tokenizer(posts, out, config, resolve_base(config.extend) if config.extend else None)


def encode(
    posts: Positional[Path], tokenizer: Positional[PathText], config: OmitArgPrefixes[EncodeConfig], out: Path
) -> None:
    """Encode posts into packed rows of token ids.

    Args:
        posts: Output of 'corpora label' (its pretraining text is used) or 'corpora build'.
        tokenizer: Folder with tokenizer files, 'minilm' or a hub id.
        out: Folder to write.
    """
    from tokenizer.encoding.encode import encode_rows

    encode_rows(posts, resolve_base(tokenizer), out, config)


def bench(
    posts: Positional[Path],
    tokenizer: Positional[PathText],
    config: OmitArgPrefixes[EncodeBenchConfig],
    base: PathText = "minilm",
) -> None:
    """Measure encoding speed, paired with transformers' BertTokenizerFast on the same text.

    Args:
        posts: Output of 'corpora label' (its pretraining text is used) or 'corpora build'.
        tokenizer: Tokenizer that our reader uses: a folder with tokenizer files, 'minilm' or a hub id.
        base: BERT tokenizer that transformers uses: a folder, 'minilm' or a hub id.
    """
    from tokenizer.report.bench import bench_encoding

    bench_encoding(posts, resolve_base(tokenizer), resolve_base(base), config)


def report(
    posts: Positional[Path], tokenizers: dict[str, PathText], config: OmitArgPrefixes[ReportConfig], out: Path
) -> None:
    """Compare tokenizers on the same text; writes a page, Markdown and JSON, and prints a table.

    Args:
        posts: Output of 'corpora label' (its pretraining text is used) or 'corpora build'.
        tokenizers: Pairs of a name and a tokenizer, the base first: bert minilm ours out/vocabulary. A tokenizer is a
            folder with tokenizer files, 'minilm' or a hub id.
        out: Folder to write.
    """
    from tokenizer.report.report import report_tokenizers

    report_tokenizers(posts, {name: resolve_base(base) for name, base in tokenizers.items()}, out, config)


COMMANDS: dict[str, Callable[..., None]] = {
    "tokenizer train": train,
    "tokenizer encode": encode,
    "tokenizer report": report,
    "tokenizer bench": bench,
}
