"""Labels saved, in words."""

from collections.abc import Sequence

from finetune.compare.comparison import LabelGain
from finetune.metrics.labels_saved import LabelsSaved, Ratio

NOTHING = "\N{EN DASH}"
COLUMN = "labels saved"


def label_worth(saved: LabelsSaved | None) -> str:
    """The ratio with its interval.

    >>> label_worth(LabelsSaved(Ratio(1.83), Ratio(0.91), Ratio(4.0, "more")))
    '1.8x [0.91, more than 4.0]'
    """
    return f"{_words(saved.ratio)}x [{_words(saved.low)}, {_words(saved.high)}]" if saved else NOTHING


def label_worth_note(baseline: str) -> str:
    """What the ratio is."""
    return (
        f"Labels saved, 1.8x: on so many training texts the system is as good as {baseline} with 1.8 times as many, by "
        f"{baseline}'s own curve (weighted F1 against the logarithm of the number of texts), with a 95 % interval over "
        "test texts and seeds. Beyond that curve's ends, a bound is given."
    )


def label_worth_sentences(gains: Sequence[LabelGain], baseline: str) -> list[str]:
    """A sentence for each system, on all numbers of training texts but the last, where a better one has no ratio."""
    sentences = []
    for gain in gains:
        known = [(point.texts, point.labels_saved) for point in gain.points[:-1] if point.labels_saved]
        words = ", ".join(f"{label_worth(saved)} at {texts:,}" for texts, saved in known)
        if words:
            sentences.append(f"{gain.name} is as good as {baseline} with so many times the labels: {words}.")
    return sentences


def _words(ratio: Ratio) -> str:
    digits = 2 if ratio.value < 0.995 else 1 if ratio.value < 9.95 else 0
    return f"{ratio.beyond} than {ratio.value:.{digits}f}" if ratio.beyond else f"{ratio.value:.{digits}f}"
