"""A made-up comparison of three systems."""

from dataclasses import replace

from finetune.classifier.phases import EpochRecord
from finetune.compare.comparison import (
    Comparison,
    DataSummary,
    Example,
    LabelGain,
    LabelGainPoint,
    Phases,
    PhaseScores,
    PretrainingCurve,
    SeedCurves,
    SystemResult,
    TokenGain,
    TokenGainPoint,
)
from finetune.metrics.diagnostics import Calibration, CalibrationPoint, ScoredLabel, WorstError
from finetune.metrics.labels_saved import LabelsSaved, Ratio
from finetune.metrics.metrics import LabelMetrics
from finetune.metrics.significance import Difference, Interval

BETTER = Difference(0.012, 0.0003, 0.021, "better", 0.002, 0.019, equivalent=False, smallest_shown=0.015)

SAVED = LabelsSaved(Ratio(1.83), Ratio(0.914), Ratio(80.0, "more"))


def interval(mean: float, half: float = 0.004) -> Interval:
    return Interval(mean, mean - half, mean + half, [mean - half / 2, mean + half / 2])


def epochs(number: int, start: float) -> list[EpochRecord]:
    return [EpochRecord(n, 1 / n, 1 / n, start + n / 100, 0.5) for n in range(1, number + 1)]


def system_result(name: str, weighted_f1: float, against: Difference | None) -> SystemResult:
    """An encoder."""
    return SystemResult(
        name=name,
        kind="encoder",
        checkpoint=f"models/{name}",
        parameters=22_713_216,
        disk=90_852_864,
        memory=1_900_000_000,
        vocab_size=30_522,
        tokens_per_text=213.4,
        share_cut=0.071,
        texts_per_second=210.0,
        adapted_tokens=1_300_000,
        phases=Phases(
            head=PhaseScores(val_acc=interval(0.55), weighted_f1=interval(0.45)),
            whole=PhaseScores(val_acc=interval(0.72), weighted_f1=interval(weighted_f1)),
        ),
        metrics={
            "weighted_f1": interval(weighted_f1),
            "micro_f1": interval(weighted_f1 + 0.01),
            "without_label": interval(0.1),
        },
        thresholds=[[0.31], [0.33]],
        per_label=[
            LabelMetrics("python", support=1203, precision=0.8, recall=0.7, f1=0.75),
            LabelMetrics("c++", support=640, precision=0.9, recall=0.8, f1=0.85),
        ],
        curves=[SeedCurves(seed, head=epochs(5, 0.3), whole=epochs(3, 0.7)) for seed in (1, 2)],
        seconds={"features": 61.0, "head": 9.4, "whole": 7380.0},
        against_baseline=against,
        calibration=Calibration([CalibrationPoint(predicted=0.05, true=0.04, decisions=90)], 0.012),
        errors=[
            WorstError("7", "why", ["c++"], [ScoredLabel("python", 0.9)], ScoredLabel("python", 0.9)),
            WorstError("8", "how", ["c++"], [], ScoredLabel("r", 0.2)),
        ],
    )


def linear_result(name: str) -> SystemResult:
    """A system without an encoder, 0.09 worse than the baseline."""
    return replace(
        system_result(name, 0.69, Difference(-0.09, -0.1, -0.08, "worse", -0.098, -0.082, False, 0.014)),
        kind="linear",
        checkpoint=None,
        parameters=None,
        disk=None,
        memory=None,
        vocab_size=None,
        tokens_per_text=None,
        share_cut=None,
        adapted_tokens=None,
        curves=[],
        phases=Phases(head=None, whole=PhaseScores(val_acc=interval(0.65, 0), weighted_f1=interval(0.69, 0))),
        seconds={"fit": 12.0},
    )


def made_up() -> Comparison:
    """A linear model, a baseline named 'generic', and 'adapted', which is better."""
    steps = range(5)
    return Comparison(
        title="Tags of questions",
        verdict="adapted is better than generic: +1.2 points.",
        equivalences=["adapted is as good."],
        warnings=["generic predicts no label for 30 % of the test texts."],
        data=DataSummary(["c++", "python"], train=40_000, dev=5_000, test=10_000, labels_per_text=1.27),
        recipe={"best_by": "loss", "head_epochs": 50, "learning_rate": 1e-5},
        seeds=[1, 2],
        baseline="generic",
        equivalence_points=1.0,
        systems=[
            linear_result("TF-IDF"),
            system_result("generic", 0.78, None),
            system_result("adapted", 0.792, BETTER),
        ],
        pretraining=[PretrainingCurve("adapted", [validation_point(step) for step in steps])],
        examples=[Example("mysql error", {"generic": ["my", "##sql", "error"], "adapted": ["mysql", "error"]})],
        definitions={"weighted_f1": "Averaged with supports as weights.", "micro_f1": "All decisions together."},
        gain_against_labels=[
            LabelGain(name, [LabelGainPoint(n, interval(0.6 + n / 1e5), against, None, saved) for n in (500, 40_000)])
            for name, against, saved in (("generic", None, None), ("adapted", BETTER, SAVED))
        ],
        gain_against_tokens=[
            TokenGain(
                "adapted",
                [
                    TokenGainPoint(n, interval(0.78), against)
                    for n, against in ((0, None), (10**6, BETTER), (4 * 10**6, BETTER))
                ],
            )
        ],
        settings={"baseline": "generic", "resamples": 1000, "label_sizes": [500]},
        made_from={"labels": "3f2a"},
        versions={"python": "3.11.9"},
    )


def validation_point(step: int) -> dict[str, float]:
    """A line of a pretraining's history.json."""
    return {"step": step, "tokens": 10**6 * step, "loss": 3.0, "accuracy": 0.4, "bits_per_byte": 2 - step / 10}


def with_text(text: str) -> Comparison:
    """The same comparison with `text` in every place whose text can come from outside."""
    comparison = made_up()
    scored = ScoredLabel(text, 0.9)
    errors = [WorstError(text, text, [text], [scored], scored), WorstError(text, text, [], [], ScoredLabel(text, 0.2))]
    systems = [
        replace(system, per_label=[replace(system.per_label[0], label=text), system.per_label[1]], errors=errors)
        for system in comparison.systems
    ]
    metrics = systems[1].metrics | {text: interval(0.5)}
    systems[1] = replace(systems[1], name=text, checkpoint=text, seconds={text: 1.0}, metrics=metrics)
    return replace(
        comparison,
        title=text,
        verdict=text,
        equivalences=[text],
        warnings=[text],
        data=replace(comparison.data, labels=[text, "python"]),
        recipe={text: text, "best_by": "loss"},
        baseline=text,
        systems=systems,
        pretraining=[replace(comparison.pretraining[0], name=text)],
        examples=[Example(text, {text: ["my", "##" + text], "adapted": [text]})],
        definitions={text: text},
        gain_against_labels=[replace(comparison.gain_against_labels[0], name=text), comparison.gain_against_labels[1]],
        settings={text: text},
        made_from={text: text},
        versions={text: text},
    )
