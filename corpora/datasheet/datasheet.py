"""Stage 'corpora datasheet': a page that describes a corpus, with the headings of "Datasheets for Datasets".

Gebru et al., arXiv 1803.09010. Facts from the corpus and its manifest are filled in; what only the publisher knows is a
question.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from corpora.datasheet.attribution import NO_LICENSE, deed_url
from corpora.datasheet.code_share import CodeRule, code_rule
from corpora.datasheet.figures import LONGEST, SHARES, CorpusFigures, corpus_figures
from stackbert.core.artifact import Manifest, build_artifact, require_artifact
from stackbert.core.drawing import COLOURS, Plot, compact, draw_plot
from stackbert.core.printing import escape_markdown, fit, markdown_lines, plain, printable
from stackbert.core.scripts import OTHER

STAGE = "corpora datasheet"
PAGE = "datasheet.md"
TOP_TAGS = 50
DRAWN_TAGS = 20
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
MISSING = ("title", "created", "license", "url", "author", "score")
QUESTIONS = {
    "Motivation": (
        "For what purpose was the corpus created, and by whom?",
        "Who paid for it?",
    ),
    "Uses": (
        "What has it been used for already, and what could it be used for?",
        "What should it not be used for?",
    ),
    "Distribution": (
        "To whom is it given, how, and when?",
        "Do terms of the source, beyond the licences above, restrict that?",
    ),
    "Maintenance": (
        "Who maintains it, and how can they be reached?",
        "Will it be updated, and what becomes of a post that its author deletes?",
    ),
}
"""Heading -> questions that the corpus itself cannot answer."""


def write_datasheet(corpus: Path, out: Path | None = None, processes: int = 0) -> Manifest:
    """Write datasheet.md and its plots (SVG) into the folder `out`, by default next to the corpus.

    `corpus` is the output of 'corpora build'. The same corpus gives the same bytes; memory does not depend on its size.
    """
    made = require_artifact(corpus, "corpora build")
    named = corpus if corpus.name else corpus.resolve()  # '.' has no name
    out = out or named.with_name(named.name + "-datasheet")

    def work(folder: Path) -> dict[str, Any]:
        rule = code_rule(made.config)
        figures = corpus_figures(corpus, rule, processes)
        plots = draw_plots(figures)
        for name, plot in plots.items():
            (folder / f"{name}.svg").write_text(plot.svg, "utf-8")
        (folder / PAGE).write_text(page(made, figures, rule, plots), "utf-8")
        return {"posts": figures.posts, "characters": figures.characters, "code_characters": figures.code_characters}

    return build_artifact(out, STAGE, {}, {"corpus": corpus}, work)


def page(made: Manifest, figures: CorpusFigures, rule: CodeRule, plots: dict[str, Plot]) -> str:
    """The page in Markdown."""
    paragraphs = [
        "# Datasheet",
        f"Of the corpus whose manifest has the identity `{made.identity}`. Filled in by counting; what is in "
        "*italics* is a question to its publisher.",
        *_questions("Motivation"),
        "## Composition",
        *_composition(figures, plots),
        *_scripts(figures),
        *_code(figures, rule, plots),
        *_tags(figures, plots),
        *_years(figures, plots),
        *_licenses(figures),
        "*Does it hold personal data, or text that offends? Authors' names and what people wrote about themselves are "
        "not removed.*",
        "## Collection",
        *_sources(made),
        "## Preprocessing",
        *_drops(made),
        "The configuration, which makes the same corpus from the same sources:",
        _table(("option", "value"), [(name, plain(value)) for name, value in made.config.items()]),
        "Versions: " + escape_markdown(printable(", ".join(f"{name} {v}" for name, v in made.versions.items()))) + ".",
        *(paragraph for heading in ("Uses", "Distribution", "Maintenance") for paragraph in _questions(heading)),
    ]
    return "\n\n".join(paragraph.rstrip("\n") for paragraph in paragraphs) + "\n"


def draw_plots(figures: CorpusFigures) -> dict[str, Plot]:
    """File name -> plot, without those that would be empty."""
    plots = {"lengths": _draw_lengths(figures), "code": _draw_code(figures)}
    if figures.tags:
        plots["tags"] = _draw_tags(figures)
    if figures.years:
        plots["years"] = _draw_years(figures)
    return plots


def _composition(figures: CorpusFigures, plots: dict[str, Plot]) -> list[str]:
    rows = []
    for kind, count in sorted(figures.kinds.items()):
        lengths = [_length(length) for length in figures.quantiles(kind, QUANTILES)]
        rows.append((kind, _number(count), *lengths))
    missing = [(name, _number(figures.missing[name]), _share(figures.missing[name], figures.posts)) for name in MISSING]
    return [
        f"{figures.posts:,} posts with {figures.characters:,} characters of title and body; the longest has "
        f"{figures.longest:,}. Lengths in characters that so many of a kind's posts do not exceed:",
        _table(("kind", "posts", *(f"{share:.0%}" for share in QUANTILES)), rows),
        _image("lengths", plots),
        f"{figures.duplicates:,} questions are marked as duplicates of others. Posts in which a column is empty:",
        _table(("column", "posts", "share"), missing),
    ]


def _scripts(figures: CorpusFigures) -> list[str]:
    letters = figures.scripts.total()
    if not letters:
        return ["### Scripts", "No post has letters."]
    ordered = sorted(figures.scripts.items(), key=lambda item: (-item[1], item[0]))
    rows = [(name, _number(count), _share(count, letters)) for name, count in ordered]
    return [
        "### Scripts",
        f"Letters of titles and bodies by script; Latin includes most code. '{OTHER}' are letters such as symbols of "
        "physical units, and those of rare scripts.",
        _table(("script", "letters", "share"), rows),
    ]


def _code(figures: CorpusFigures, rule: CodeRule, plots: dict[str, Plot]) -> list[str]:
    return [
        "### Code",
        f"{_share(figures.code_characters, figures.characters)} of the characters are code, in "
        f"{_share(figures.posts_with_code, figures.posts)} of the posts. Counted as code: {rule.definition}.",
        _image("code", plots),
    ]


def _tags(figures: CorpusFigures, plots: dict[str, Plot]) -> list[str]:
    if not figures.tags:
        return ["### Tags", "No post has tags."]
    posts = figures.tags_per_post.total()
    tagged = posts - figures.tags_per_post[0]
    top = _top(figures)
    rows = [(name, _number(count), _share(count, posts)) for name, count in top]
    return [
        "### Tags",
        f"{len(figures.tags):,} tags on {tagged:,} of {posts:,} questions and documents, "
        f"{figures.tags.total() / tagged:.2f} on each of these. The most frequent {len(top)}:",
        _image("tags", plots),
        _table(("tag", "posts", "share"), rows),
    ]


def _years(figures: CorpusFigures, plots: dict[str, Plot]) -> list[str]:
    if not figures.years:
        return ["### Years", "No post has a date."]
    years = sorted(figures.years.items())
    return [
        "### Years",
        f"Posts were created from {years[0][0]} to {years[-1][0]}.",
        _image("years", plots),
        _table(("year", "posts"), [(year, _number(count)) for year, count in years]),
    ]


def _licenses(figures: CorpusFigures) -> list[str]:
    counts = dict(sorted(figures.licenses.items(), key=lambda item: (-item[1], item[0])))
    if figures.missing["license"]:
        counts[NO_LICENSE] = figures.missing["license"]
    rows = [(name, _number(count), deed_url(name)) for name, count in counts.items()]
    return ["### Licences", _table(("licence", "posts", "text"), rows)]


def _sources(made: Manifest) -> list[str]:
    rows = [(name, identity) for name, identity in made.inputs.items()]
    return [
        f"Made by 'stackbert {made.stage}' from the following, each with its sha256, or version where it is software:",
        _table(("source", "identity"), rows),
        "*How were these sources obtained, when, and by whom?*",
    ]


def _drops(made: Manifest) -> list[str]:
    read, kept = made.counts.get("read"), made.counts.get("kept")
    if read is None or kept is None:
        return ["*Which posts were left out?*"]
    dropped = sorted(made.counts.get("dropped", {}).items(), key=lambda item: (-item[1], item[0]))
    rows = [("read", _number(read), ""), ("kept", _number(kept), _share(kept, read))]
    rows += [(f"dropped: {reason}", _number(count), _share(count, read)) for reason, count in dropped]
    return ["Rows of the sources:", _table(("rows", "count", "share"), rows)]


def _questions(heading: str) -> list[str]:
    return [f"## {heading}", *(f"*{question}*" for question in QUESTIONS[heading])]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return markdown_lines(header, [[escape_markdown(printable(cell)) for cell in row] for row in rows])


def _image(name: str, plots: dict[str, Plot]) -> str:
    return f"![{escape_markdown(printable(plots[name].alt))}]({name}.svg)"


def _top(figures: CorpusFigures) -> list[tuple[str, int]]:
    return sorted(figures.tags.items(), key=lambda item: (-item[1], item[0]))[:TOP_TAGS]


def _number(count: int) -> str:
    return f"{count:,}"


def _share(count: int, total: int) -> str:
    return f"{count / max(total, 1):.1%}"


def _length(length: int) -> str:
    return f"{length:,}" if length < LONGEST else f"{LONGEST:,} or more"


def _draw_lengths(figures: CorpusFigures) -> Plot:
    edges = np.unique(np.round(np.geomspace(1, LONGEST, 41)).astype(int))

    def draw(axes: Axes) -> None:
        for number, (kind, counts) in enumerate(sorted(figures.lengths.items())):
            heights = [int(counts[low:high].sum()) for low, high in pairwise(edges)]
            heights[-1] += int(counts[LONGEST])
            axes.stairs(heights, edges, color=COLOURS[number % len(COLOURS)], label=printable(kind), linewidth=1.6)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_short)
        _finish(axes, "Length of posts", "characters", "posts")
        axes.legend(frameon=False)

    medians = "; ".join(f"{kind}: {figures.quantiles(kind, (0.5,))[0]:,}" for kind in sorted(figures.lengths))
    return draw_plot(draw, 3.0, f"Histogram of lengths in characters. Medians: {medians}")


def _draw_code(figures: CorpusFigures) -> Plot:
    def draw(axes: Axes) -> None:
        axes.stairs(figures.code_shares, np.linspace(0, 100, SHARES + 1), fill=True, color=COLOURS[0])
        axes.set_xlim(0, 100)
        _finish(axes, "Share of code, in posts that have any", "% of the characters", "posts")

    return draw_plot(draw, 2.6, f"Histogram of the share of code in the {figures.posts_with_code:,} posts with code")


def _draw_tags(figures: CorpusFigures) -> Plot:
    top = _top(figures)[:DRAWN_TAGS]

    def draw(axes: Axes) -> None:
        axes.barh(range(len(top)), [count for _, count in top], color=COLOURS[0])
        axes.set_yticks(range(len(top)), [fit(printable(name), 24).strip() for name, _ in top])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_title("Most frequent tags")
        axes.set_xlabel("posts")
        axes.xaxis.set_major_formatter(_short)

    alt = "Bars of the most frequent tags: " + ", ".join(f"{name} {count:,}" for name, count in top[:5])
    return draw_plot(draw, 0.8 + 0.2 * len(top), alt)


def _draw_years(figures: CorpusFigures) -> Plot:
    years = range(int(min(figures.years)), int(max(figures.years)) + 1)

    def draw(axes: Axes) -> None:
        axes.bar(list(years), [figures.years[f"{year:04}"] for year in years], color=COLOURS[0])
        axes.set_xticks(years[:: math.ceil(len(years) / 9)])  # as many labels as fit side by side
        _finish(axes, "Posts by year", "", "posts")

    return draw_plot(draw, 2.6, f"Bars of posts by year, {years[0]} to {years[-1]}")


def _finish(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.yaxis.set_major_formatter(_short)


def _short(number: float, _: float) -> str:
    return compact(number)
