"""The study's own table: both phases at each number of training texts."""

from dataclasses import replace
from pathlib import Path

from finetune.compare import report
from finetune.compare.comparison import Comparison, LabelGain, LabelGainPoint, Phases, PhaseScores
from finetune.compare.phase_table import PHASE_TITLE, phase_lines, phase_table
from tests.finetune.compare.made_up import interval, made_up, with_text
from tests.pages import HOSTILE, Structure


def scores(val_acc: float, weighted_f1: float) -> PhaseScores:
    return PhaseScores(interval(val_acc), interval(weighted_f1))


def point(texts: int, head: PhaseScores | None, whole: PhaseScores) -> LabelGainPoint:
    return LabelGainPoint(texts, whole.weighted_f1, None, Phases(head, whole))


def with_phases(name: str = "DistilBERT") -> Comparison:
    """The figures that the study printed of DistilBERT, and a system without an encoder."""
    small, large = scores(0.717, 0.78), scores(0.721, 0.78)
    encoder = LabelGain(name, [point(20_000, scores(0.573, 0.50), small), point(40_000, scores(0.572, 0.51), large)])
    linear = LabelGain("TF-IDF", [point(20_000, None, scores(0.6, 0.7)), point(40_000, None, scores(0.61, 0.71))])
    return replace(made_up(), gain_against_labels=[encoder, linear])


def test_cells_are_those_that_the_study_printed():
    header, lines = phase_table(with_phases())
    assert header[1:] == [
        f"{texts} texts: {phase}" for texts in ("20,000", "40,000") for phase in ("head", "fine-tuned")
    ]
    assert lines[0] == ["DistilBERT", "(0.573, 0.50)", "(0.717, 0.78)", "(0.572, 0.51)", "(0.721, 0.78)"]
    assert lines[1][1::2] == [report.NOTHING] * 2


def test_markdown_and_page_have_the_table(tmp_path: Path):
    report.write_report(with_phases(), tmp_path)
    markdown = (tmp_path / "comparison.md").read_text("utf-8")
    assert f"## {PHASE_TITLE}" in markdown
    assert "| DistilBERT | (0.573, 0.50) | (0.717, 0.78) | (0.572, 0.51) | (0.721, 0.78) |" in markdown
    page = Structure((tmp_path / "report.html").read_text("utf-8"))
    assert PHASE_TITLE in page.text and "(0.721, 0.78)" in page.text


def test_comparison_without_sizes_or_by_an_earlier_version_has_none(tmp_path: Path):
    for comparison in (replace(made_up(), gain_against_labels=[]), made_up()):  # made_up has points without phases
        assert phase_lines(comparison) == []
        report.write_report(comparison, tmp_path)
        assert PHASE_TITLE not in (tmp_path / "report.html").read_text("utf-8")


def test_hostile_names_keep_the_columns_and_hold_no_html():
    for text in HOSTILE:
        hostile = replace(with_text(text), gain_against_labels=with_phases(report.printable(text)).gain_against_labels)
        table = phase_lines(hostile)[1]
        assert {line.replace("\\\\", "").replace("\\|", "").count("|") for line in table.splitlines()} == {6}
        assert "<" not in table
