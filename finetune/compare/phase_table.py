"""Both phases at each number of training texts: the table of the study that this project answers."""

from collections.abc import Sequence

from finetune.compare.comparison import Comparison, PhaseScores
from stackbert.core.printing import escape_markdown, markdown_lines

PHASE_TITLE = "Head and fine-tuned, by training texts"
PHASE_NOTE = (
    "(val_acc, weighted F1), means over seeds: the head on the frozen encoder, then the whole model fine-tuned."
)
NOTHING = "\N{EN DASH}"


def phase_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Header and a line for each system; no lines for a comparison without `label_sizes`.

    Systems without an encoder have no head. A comparison by an earlier version has the phases of all texts only.
    """
    gains = [gain for gain in comparison.gain_against_labels if all(point.phases for point in gain.points)]
    header = [""]
    for point in gains[0].points if gains else ():
        header += [f"{point.texts:,} texts: head", f"{point.texts:,} texts: fine-tuned"]
    lines = []
    for gain in gains:
        phases = [point.phases for point in gain.points if point.phases]
        lines.append([gain.name, *(pair(scores) for both in phases for scores in (both.head, both.whole))])
    return header, lines


def pair(scores: PhaseScores | None) -> str:
    """The two scores with the decimals that the study printed.

    >>> from finetune.metrics.significance import Interval
    >>> pair(PhaseScores(Interval(0.5731, 0.5731, 0.5731, []), Interval(0.498, 0.498, 0.498, [])))
    '(0.573, 0.50)'
    """
    return f"({scores.val_acc.mean:.3f}, {scores.weighted_f1.mean:.2f})" if scores else NOTHING


def phase_lines(comparison: Comparison) -> Sequence[str]:
    """The table as a section in Markdown; empty where it has no lines."""
    header, lines = phase_table(comparison)
    table = markdown_lines(header, [[escape_markdown(name), *cells] for name, *cells in lines])
    return [f"## {PHASE_TITLE}\n", table, f"{PHASE_NOTE}\n"] if lines else []
