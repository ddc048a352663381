"""Stage 'tokenizer report': tokenizers compared on the same text; a page, Markdown, JSON and a table."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from corpora.post import Post, count_posts, is_in_share, pretraining_posts, read_posts
from stackbert.core.artifact import Manifest, build_artifact, write_json
from stackbert.core.drawing import COLOURS, Plot, draw_plot
from stackbert.core.errors import StackbertError, require
from stackbert.core.page import page_environment
from stackbert.core.printing import escape_markdown, fit, markdown_lines, printable
from tokenizer.config import ReportConfig
from tokenizer.encoding.packed_rows import identify_tokenizer
from tokenizer.encoding.reader import TextReader, load_reader
from tokenizer.encoding.validation_split import is_validation_post
from tokenizer.report.measures import DEFINITIONS, KINDS, LENGTHS, Measures, Sample, measure, take_sample
from tokenizer.report.view import UNKNOWN, words_of
from tokenizer.vocabulary.word_counts import count_tags

STAGE = "tokenizer report"
EXAMPLE_CHARACTERS = 400
NO_VALUE = "\N{EN DASH}"
NAME_COLUMNS = 24


def report_tokenizers(posts: Path, tokenizers: Mapping[str, Path], out: Path, config: ReportConfig) -> Manifest:
    """Compare `tokenizers` (name -> folder with any Hugging Face tokenizer) on posts; the first is the base.

    `posts` is a corpus or a labelled set. Raises StackbertError if a tokenizer cannot be loaded or no post is chosen.
    """
    require(bool(tokenizers), "name at least one tokenizer")
    folder = pretraining_posts(posts)
    inputs: dict[str, Path | str] = {"posts": posts}
    inputs |= {f"tokenizer {name}": identify_tokenizer(path) for name, path in tokenizers.items()}
    return build_artifact(
        out, STAGE, config, inputs, lambda staging: _write(folder, tokenizers, staging, config, inputs)
    )


def _write(
    posts: Path, tokenizers: Mapping[str, Path], folder: Path, config: ReportConfig, inputs: Mapping[str, Path | str]
) -> dict[str, Any]:
    readers = {name: load_reader(path) for name, path in tokenizers.items()}
    base_name = next(iter(readers))
    chosen = _choose_posts(posts, config)
    sample = take_sample(chosen, count_tags(posts, 0.0), config.top_tags)
    rows = {name: measure(reader, sample, readers[base_name]) for name, reader in readers.items()}
    report: dict[str, Any] = {
        "base": base_name,
        "text": _describe(sample, config),
        "rows": [{"name": name} | row.plain() for name, row in rows.items()],
        "figures": figures(rows),
        "examples": _examples(chosen, readers, config.examples),
        "definitions": DEFINITIONS,
        "tokenizers": {name: str(inputs[f"tokenizer {name}"]) for name in rows},
    }
    report = printable(report)
    write_json(folder / "report.json", report)
    (folder / "report.md").write_text(_markdown(report), "utf-8")
    (folder / "report.html").write_text(_page(report), "utf-8")
    print(terminal_table(report))
    return {"posts": len(chosen), "tokenizers": len(rows)}


def figures(rows: Mapping[str, Measures]) -> list[tuple[str, list[str]]]:
    """Each metric's name with its formatted value for each tokenizer."""
    found = list(rows.values())
    lines: list[tuple[str, list[str]]] = [("vocabulary", [f"{row.vocab_size:,}" for row in found])]
    for kind in KINDS:
        lines.append((f"bytes a token, {kind}", [_number(row.bytes_per_token[kind]) for row in found]))
    for kind in KINDS:
        lines.append((f"tokens a word, {kind}", [_number(row.tokens_per_word[kind]) for row in found]))
    shares: dict[str, list[float | None]] = {
        "tags in one token": [row.tags_whole for row in found],
        "distinct words whole": [row.distinct_words_whole for row in found],
        "running words whole": [row.running_words_whole for row in found],
        "unknown": [row.unknown_share for row in found],
        "vocabulary used": [row.vocabulary_used for row in found],
        **{f"texts in {length} tokens": [row.texts_within[str(length)] for row in found] for length in LENGTHS},
        "shared with base": [row.shared_with_base for row in found],
    }
    return lines + [(name, [_percent(value) for value in values]) for name, values in shares.items()]


def terminal_table(report: dict[str, Any]) -> str:
    """The metrics as a table for the terminal: one line per metric, one column per tokenizer."""
    names = [row["name"] for row in report["rows"]]
    widths = [min(max(len(name), 8), NAME_COLUMNS) for name in names]
    header = " " * NAME_COLUMNS + "".join(f"  {fit(name, width)}" for name, width in zip(names, widths, strict=True))
    lines = [
        f"{name:<{NAME_COLUMNS}}" + "".join(f"  {value:<{width}}" for value, width in zip(values, widths, strict=True))
        for name, values in report["figures"]
    ]
    return "\n".join(line.rstrip() for line in [header, *lines])


def _choose_posts(posts: Path, config: ReportConfig) -> list[Post]:
    """The posts to compare on, chosen across the corpus by a hash of the id."""
    total = count_posts(posts)
    split_share = config.validation_share if config.split == "validation" else 1.0
    share = min(1.0, config.max_posts / (total * split_share))
    found = [
        post
        for post in read_posts(posts)
        if is_validation_post(post.id, split_share) and is_in_share(post.id, share, "report")
    ]
    if not found:
        raise StackbertError(f"{posts}: no post of the split '{config.split}' was chosen; raise max_posts")
    return found


def _describe(sample: Sample, config: ReportConfig) -> str:
    titles, prose, code = (f"{len(sample.sections[kind]):,}" for kind in KINDS)
    is_validation = config.split == "validation"
    source = f"of the {config.validation_share:.1%} for validation" if is_validation else "of the whole corpus"
    return (
        f"{len(sample.texts):,} posts {source}: {titles} titles, {prose} paragraphs of prose and {code} of code; "
        f"{len(sample.words):,} distinct words"
    )


def _examples(posts: Sequence[Post], readers: Mapping[str, TextReader], number: int) -> list[dict[str, Any]]:
    """The first posts with many symbols near their start, as tokens of each tokenizer."""
    with_symbols = (
        post for post in posts if sum(not c.isalnum() and not c.isspace() for c in post.whole_text[:200]) > 8
    )
    found = []
    for post in itertools.islice(with_symbols, number):
        text = post.whole_text[:EXAMPLE_CHARACTERS].rsplit(" ", 1)[0]
        rows = []
        for name, reader in readers.items():
            encoding = reader.tokenizer.encode(text, add_special_tokens=False)
            unknown = reader.tokenizer.id_to_token(reader.unknown_id)  # SentencePiece's models give the text instead
            pairs = zip(encoding.ids, encoding.tokens, strict=True)
            tokens = [unknown if token_id == reader.unknown_id else token for token_id, token in pairs]
            rows.append({"name": name, "tokens": tokens})
        found.append({"text": text, "rows": rows})
    return found


def _markdown(report: dict[str, Any]) -> str:
    names = [escape_markdown(row["name"]) for row in report["rows"]]
    lines = [[escape_markdown(name), *values] for name, values in report["figures"]]
    defined = [f"- {escape_markdown(name)}: {escape_markdown(text)}" for name, text in report["definitions"].items()]
    made = [f"- {escape_markdown(name)}: {value}" for name, value in report["tokenizers"].items()]
    head = [
        "# Tokenizers, side by side\n",
        f"On {escape_markdown(report['text'])}.\n",
        markdown_lines(["", *names], lines),
    ]
    return "\n".join([*head, *defined, "\nTokenizers, by the sha256 of their files:\n", *made, ""])


def _page(report: dict[str, Any]) -> str:
    environment = page_environment(Path(__file__).parent)
    environment.filters["words_of"] = words_of
    return environment.get_template("report.html.j2").render(
        **report, plots=_plots(report["rows"]), colours=COLOURS, unknown=UNKNOWN
    )


def _plots(rows: Sequence[dict[str, Any]]) -> list[Plot]:
    """Plots of bytes a token by kind of text, and of the share of texts that fit."""
    kinds = {kind: [row["bytes_per_token"][kind] for row in rows] for kind in KINDS}
    lengths: dict[str, list[float | None]] = {
        str(length): [row["texts_within"][str(length)] for row in rows] for length in LENGTHS
    }
    names = [row["name"] for row in rows]
    return [
        _bars(names, kinds, "Bytes of text in a token", "UTF-8 bytes a token"),
        _bars(names, lengths, "Share of texts that fit whole", "tokens, special ones included"),
    ]


def _bars(names: Sequence[str], groups: Mapping[str, Sequence[float | None]], title: str, label: str) -> Plot:
    height = 0.8 / len(names)

    def draw(axes: Axes) -> None:
        for bar, _ in enumerate(names):
            values = [group[bar] or 0.0 for group in groups.values()]
            heights = [number + (bar - (len(names) - 1) / 2) * height for number in range(len(groups))]
            axes.barh(heights, values, height=height * 0.9, color=COLOURS[bar % len(COLOURS)])
            for y, value in zip(heights, values, strict=True):
                axes.annotate(
                    f"{value:.2f}", (value, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8
                )
        axes.set_yticks(range(len(groups)), list(groups))
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.grid(visible=False, axis="y")
        axes.set(title=title, xlabel=label)

    words = [
        f"{name}: " + ", ".join(f"{kind} {_number(values[n])}" for kind, values in groups.items())
        for n, name in enumerate(names)
    ]
    return draw_plot(draw, 1.2 + 0.24 * len(names) * len(groups), f"{title}. {'; '.join(words)}.")


def _number(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.1%}" if value >= 0.001 or not value else f"{value:.4%}"
