"""Verdict and warnings of a comparison."""

from dataclasses import replace

from finetune.classifier.phases import EpochRecord
from finetune.compare.comparison import SeedCurves, SystemResult
from finetune.compare.results import equivalences, verdict, warnings_of
from finetune.config import FinetuneConfig
from finetune.metrics.metrics import LabelMetrics
from finetune.metrics.significance import Difference, Interval
from tests.finetune.compare.made_up import system_result


def system(
    name: str, kind: str, difference: float | None, word: str = "", half_90: float = 0.008, equivalent: bool = False
) -> SystemResult:
    found = None
    if difference is not None:
        ends_90 = (difference - half_90, difference + half_90)
        found = Difference(difference, difference - 0.01, difference + 0.01, word, *ends_90, equivalent, 0.014)
    return replace(system_result(name, 0.7, found), kind=kind)


def test_verdict_names_a_better_system_even_if_another_is_higher_by_chance():
    systems = [
        system("base", "encoder", None),
        system("sure", "encoder", 0.02, "better"),
        system("lucky", "encoder", 0.03, "no difference"),
    ]
    assert verdict(systems, "base").startswith("sure is better than base: +2.0 points")


def test_verdict_says_if_tf_idf_is_better():
    systems = [
        system("TF-IDF", "linear", 0.05, "better"),
        system("base", "encoder", None),
        system("ours", "encoder", 0.0, "no difference"),
    ]
    assert verdict(systems, "base").startswith("No gain is shown over base")
    assert "TF-IDF is better than base (+5.0 points)" in verdict(systems, "base")


def test_verdict_on_the_best_of_many_says_so():
    names = ("one", "two", "three")
    systems = [system("base", "encoder", None), *(system(name, "encoder", -0.02, "worse") for name in names)]
    assert verdict(systems, "base").startswith("No other checkpoint is better than base; the nearest, one, is worse")
    assert "the best of 3, not corrected for multiple comparisons" in verdict(systems, "base")
    assert "the best of" not in verdict(systems[:3], "base")


def test_verdict_shows_no_false_zero():
    sure = system("sure", "encoder", 0.0103, "better")
    assert "+1.03 points of weighted F1, 95 % interval +0.03 to +2.03" in verdict(
        [system("base", "encoder", None), sure], "base"
    )


def test_equivalent_systems_are_named_with_what_they_cost():
    base = replace(system("base", "encoder", None), tokens_per_text=121.0, texts_per_second=100.0)
    ours = system("ours", "encoder", 0.001, "no difference", 0.005, equivalent=True)
    ours = replace(ours, tokens_per_text=100.0, texts_per_second=115.0)
    assert equivalences([base, ours], "base", 1) == [
        "ours is equivalent within 1 point to base (+0.1, 90 % interval -0.4 to +0.6), with 1.21x fewer tokens per "
        "text and 1.15x the texts/s."
    ]
    [dear] = equivalences([base, replace(ours, tokens_per_text=242.0, texts_per_second=50.0)], "base", 2.5)
    assert "within 2.5 points to base" in dear
    assert "with 2.00x more tokens per text and 0.50x the texts/s." in dear
    [same] = equivalences([base, replace(ours, tokens_per_text=121.2)], "base", 1)
    assert "with as many tokens per text and" in same
    fast = replace(ours, kind="linear", tokens_per_text=None, texts_per_second=2000.0)
    assert equivalences([base, fast], "base", 1)[0].endswith("interval -0.4 to +0.6), with 20.00x the texts/s.")


def test_better_and_equivalent_are_both_said():
    systems = [
        system("base", "encoder", None),
        system("ours", "encoder", 0.004, "better", 0.003, equivalent=True),
    ]
    assert verdict(systems, "base").startswith("ours is better than base: +0.4 points")
    [found] = equivalences(systems, "base", 1)
    assert found.startswith("ours is also equivalent within 1 point to base (+0.4, 90 % interval +0.1 to +0.7)")


def test_no_difference_is_not_called_equivalent():
    wide = system("wide", "encoder", 0.001, "no difference", 0.02)
    assert equivalences([system("base", "encoder", None), wide], "base", 1) == []


def test_system_without_an_encoder_can_be_the_baseline():
    systems = [
        system("TF-IDF", "linear", None),
        system("vectors", "vectors", 0.01, "better"),
        system("ours", "encoder", 0.1, "better"),
    ]
    assert verdict(systems, "TF-IDF").startswith("ours is better than TF-IDF: +10.0 points")
    assert verdict(systems, "TF-IDF").endswith("vectors is better than TF-IDF (+1.0 points).")


def epochs(*dev_losses: float) -> list[EpochRecord]:
    return [EpochRecord(number, 0.1, loss, 0.5, 0.5) for number, loss in enumerate(dev_losses, 1)]


def test_systems_stopped_early_or_without_predictions_cause_warnings():
    shy = replace(
        system_result("shy", 0.7, None),
        curves=[SeedCurves(0, [], epochs(0.3, 0.2)), SeedCurves(1, [], epochs(0.2, 0.3))],
        metrics={"without_label": Interval(0.6, 0.6, 0.6, [0.6])},
        per_label=[LabelMetrics("a", 3, 0.0, 0.0, 0.0), LabelMetrics("b", 0, 0.0, 0.0, 0.0)],
    )
    assert warnings_of([shy], FinetuneConfig(epochs=2)) == [
        "Best on dev in the last epoch, so that more epochs may change the table: shy.",
        "shy predicts no label for 60 % of the test texts.",
        "shy has recall 0 for 1 of the labels: a.",
    ]
    assert len(warnings_of([shy], FinetuneConfig(epochs=3))) == 2, "it stopped before the maximum"
    bold = replace(shy, curves=[], metrics={"without_label": Interval(0.1, 0.1, 0.1, [0.1])}, per_label=[])
    assert warnings_of([bold], FinetuneConfig(epochs=2)) == []
