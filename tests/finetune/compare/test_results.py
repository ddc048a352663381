"""What is said of the rows of a comparison."""

from finetune.compare.results import verdict, warnings_of
from finetune.config import FinetuneConfig


def row(name: str, kind: str, difference: float | None, word: str = "") -> dict:
    found = None
    if difference is not None:
        found = {"difference": difference, "low": difference - 0.01, "high": difference + 0.01, "verdict": word}
    return {"name": name, "kind": kind, "against_baseline": found}


def test_verdict_names_a_better_row_even_where_another_is_higher_by_chance():
    rows = [
        row("base", "encoder", None),
        row("sure", "encoder", 0.02, "better"),
        row("lucky", "encoder", 0.03, "no difference"),
    ]
    assert verdict(rows, "base").startswith("sure is better than base: +2.0 points")


def test_verdict_says_when_tf_idf_is_ahead():
    rows = [
        row("TF-IDF", "linear", 0.05, "better"),
        row("base", "encoder", None),
        row("ours", "encoder", 0.0, "no difference"),
    ]
    assert verdict(rows, "base").startswith("No gain is shown over base")
    assert "TF-IDF is better than base (+5.0 points)" in verdict(rows, "base")


def test_verdict_on_the_best_of_many_says_so():
    names = ("one", "two", "three")
    rows = [row("base", "encoder", None), *(row(name, "encoder", -0.02, "worse") for name in names)]
    assert verdict(rows, "base").startswith("No other checkpoint is better than base; the nearest, one, is worse")
    assert "the best of 3, for which the interval is not widened" in verdict(rows, "base")
    assert "the best of" not in verdict(rows[:3], "base")


def test_verdict_shows_no_false_zero():
    sure = row("sure", "encoder", 0.0103, "better")
    assert "+1.03 points of weighted F1, 95 % interval +0.03 to +2.03" in verdict(
        [row("base", "encoder", None), sure], "base"
    )


def test_row_without_an_encoder_can_be_the_baseline():
    rows = [
        row("TF-IDF", "linear", None),
        row("vectors", "vectors", 0.01, "better"),
        row("ours", "encoder", 0.1, "better"),
    ]
    assert verdict(rows, "TF-IDF").startswith("ours is better than TF-IDF: +10.0 points")
    assert verdict(rows, "TF-IDF").endswith("vectors is better than TF-IDF (+1.0 points).")


def epochs(*dev_losses: float) -> list[dict[str, float]]:
    return [{"epoch": number, "dev_loss": loss} for number, loss in enumerate(dev_losses, 1)]


def test_rows_cut_short_or_without_labels_are_warned_of():
    entry = {
        "name": "shy",
        "curves": [{"whole": epochs(0.3, 0.2)}, {"whole": epochs(0.2, 0.3)}],
        "metrics": {"without_label": {"mean": 0.6}},
        "per_label": [{"label": "a", "support": 3, "recall": 0.0}, {"label": "b", "support": 0, "recall": 0.0}],
    }
    assert warnings_of([entry], FinetuneConfig(epochs=2)) == [
        "Still gaining on dev in the last epoch, so that more may change the table: shy.",
        "shy gives no label at all to 60 % of the test texts.",
        "shy is never right about 1 of the labels: a.",
    ]
    assert len(warnings_of([entry], FinetuneConfig(epochs=3))) == 2, "it stopped before the most there may be"
    bold = entry | {"curves": [], "metrics": {"without_label": {"mean": 0.1}}, "per_label": []}
    assert warnings_of([bold], FinetuneConfig(epochs=2)) == []
