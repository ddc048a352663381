"""The report: its content, safety against hostile text, and determinism."""

import base64
import copy
import json
import unicodedata
import warnings
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest

from finetune.compare import gain_plots, plots, report
from finetune.compare.comparison import Comparison, from_json, to_json
from finetune.metrics.diagnostics import Calibration
from finetune.metrics.significance import Difference
from tests.finetune.compare.made_up import linear_result, made_up, with_text
from tests.pages import HOSTILE, SVG_ELEMENTS, Structure


@pytest.fixture(scope="module")
def folder_with_report(tmp_path_factory) -> Path:
    """The report of the made-up comparison."""
    folder = tmp_path_factory.mktemp("report")
    report.write_report(made_up(), folder)
    return folder


@pytest.fixture(scope="module")
def page(folder_with_report) -> Structure:
    """The page of that report."""
    return Structure((folder_with_report / "report.html").read_text("utf-8"))


def page_of(comparison: Comparison, folder: Path) -> str:
    report.write_report(comparison, folder)
    return (folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_page_shows_hostile_text_as_text(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (plots, gain_plots):  # drawing has its own test
        monkeypatch.setattr(module, "draw_plot", lambda draw, height, alt: plots.Plot("<svg/>", alt))
    found = Structure(page_of(with_text(text), tmp_path))
    assert found.elements == Structure(page_of(with_text("harmless"), tmp_path)).elements
    assert not {"script", "a", "link", "iframe", "form"} & {tag for tag, _ in found.elements}
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    assert " ".join(report.printable(text).split()) in " ".join(found.text.split())


def test_plots_show_hostile_text_as_text(tmp_path: Path) -> None:
    comparison = replace(made_up(), systems=[with_text(text).systems[1] for text in HOSTILE])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = Structure(page_of(comparison, tmp_path))
    pictures = [value.partition(",") for _, name, value in page.attributes if name == "src"]
    assert [kind for kind, _, _ in pictures] == ["data:image/svg+xml;base64"] * 14
    for _, _, content in pictures:
        drawing = ElementTree.fromstring(base64.b64decode(content))  # noqa: S314 - what we drew, not what came in
        assert {element.tag.rpartition("}")[2] for element in drawing.iter()} <= SVG_ELEMENTS


@pytest.mark.parametrize("text", HOSTILE)
def test_terminal_table_holds_no_control_characters_and_fits(text: str) -> None:
    lines = report.table_text(with_text(text * 5)).split("\n")
    assert not [c for line in lines for c in line if unicodedata.category(c) in ("Cc", "Cf", "Cs")]
    assert max(report.columns(line) for line in lines[:5]) <= report.TERMINAL_COLUMNS


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_keeps_its_columns_and_holds_no_html(text: str) -> None:
    table = report.markdown_table(with_text(text))
    pipes = {line.replace("\\\\", "").replace("\\|", "").count("|") for line in table.splitlines()}
    assert pipes == {len(report.HEADER) + 1}
    assert "<" not in table


def test_content_security_policy_forbids_all_but_styles_and_embedded_pictures(page: Structure) -> None:
    assert ("meta", ("http-equiv", "content")) in page.elements
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert ("meta", "content", policy) in page.attributes
    assert ("html", "lang", "en") in page.attributes


def test_page_and_plots_are_the_same_bytes_each_time(folder_with_report: Path, tmp_path: Path) -> None:
    first = (folder_with_report / "report.html").read_text("utf-8")
    matplotlib.rcParams["font.size"] = 20  # as another program might set
    try:
        assert page_of(made_up(), tmp_path) == first
        assert matplotlib.rcParams["font.size"] == 20
    finally:
        matplotlib.rcdefaults()


def test_writing_does_not_change_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (plots, gain_plots):
        monkeypatch.setattr(module, "draw_plot", lambda draw, height, alt: plots.Plot("<svg/>", alt))
    comparison = made_up()
    before = copy.deepcopy(comparison)
    page_of(comparison, tmp_path)
    assert comparison == before


def test_comparison_is_the_same_after_json() -> None:
    for comparison in (made_up(), with_text("x"), replace(made_up(), systems=[linear_result("linear")])):
        assert from_json(json.loads(json.dumps(to_json(comparison)))) == comparison


def test_each_plot_has_an_alternative_text() -> None:
    figures = plots.build_plots(made_up())
    assert [len(figures[name]) for name in ("intervals", "curves", "pretraining", "labels")] == [2, 2, 1, 1]
    assert "adapted 0.792 (95 % interval 0.788 to 0.796)" in figures["intervals"][1].alt
    assert "TF-IDF" not in figures["intervals"][0].alt
    assert figures["differences"][0].alt == (
        "Difference in weighted F1 to the baseline: TF-IDF -0.090 (95 % interval -0.100 to -0.080, 90 % interval "
        "-0.098 to -0.082); adapted +0.012 (95 % interval +0.000 to +0.021, 90 % interval +0.002 to +0.019)."
    )
    assert "generic goes from 0.310 at epoch 1 to 0.350 at epoch 5" in figures["curves"][0].alt
    assert "from 2.000 at tokens 0 to 1.600 at tokens 4,000,000" in figures["pretraining"][0].alt
    assert "from 0.750 (python) to 0.850 (c++)" in figures["labels"][0].alt


def test_gains_are_drawn_with_the_baseline_and_each_point_is_listed(folder_with_report: Path, page: Structure) -> None:
    comparison = made_up()
    panels = gain_plots.build_gain_plots(comparison)["gains"]
    words = [panel.alt for panel in panels]
    assert "generic 0.605 at 500, 1.000 at 40,000; adapted 0.605 at 500" in words[0]
    assert words[1] == (
        "Difference to the baseline against labelled training texts: adapted 0.012 at 500, 0.012 at 40,000."
    )
    assert "adapted 0.780 at 0, 0.780 at 1,000,000" in words[2]
    assert "Training texts: every point" in page.text
    assert "0 tokens: the unadapted base." in page.text
    markdown = (folder_with_report / "comparison.md").read_text("utf-8")
    assert "| adapted | 500 | 0.605 ±0.004 | +0.0120 [+0.0003, +0.0210] | better |" in markdown
    assert f"| generic | 40,000 | 1.000 ±0.004 | {report.NOTHING} | baseline |" in markdown


def test_labels_saved_are_said_everywhere(folder_with_report: Path, page: Structure) -> None:
    said = "adapted is as good as generic with so many times the labels: 1.8x [0.91, more than 80] at 500."
    markdown = (folder_with_report / "comparison.md").read_text("utf-8")
    for text in (report.table_text(made_up()), page.text, markdown):
        assert said in " ".join(text.replace("\\", "").split())
    assert "as good as generic with 1.8 times as many" in " ".join(page.text.split())
    assert "| +0.0120 [+0.0003, +0.0210] | better | 1.8x [0.91, more than 80] |" in markdown
    assert "1.8x [0.91, more than 80]" in page.text.split("Training texts: every point")[1]


def test_comparison_of_an_earlier_version_has_no_labels_saved(tmp_path: Path) -> None:
    values = to_json(made_up())
    for gain in values["gain_against_labels"]:
        for point in gain["points"]:
            del point["labels_saved"]
    text = page_of(from_json(values), tmp_path)
    assert "so many times the labels" not in text and "Training texts: every point" in text


def test_test_texts_by_time_are_said(tmp_path: Path) -> None:
    comparison = made_up()
    comparison = replace(comparison, data=replace(comparison.data, test_from="2021-06-01"))
    text = " ".join(Structure(page_of(comparison, tmp_path)).text.split())
    assert "10,000 test texts, these created on 2021-06-01 or later; 2 seeds." in text
    assert "test texts, these created on 2021-06-01 or later." in (tmp_path / "comparison.md").read_text("utf-8")


def test_labels_are_sorted_by_support() -> None:
    assert plots.labels_by_support(made_up().systems) == [("python", 1203), ("c++", 640)]


def test_sections_without_data_are_left_out(tmp_path: Path) -> None:
    lists = {key: [] for key in ("pretraining", "examples", "warnings", "gain_against_labels", "gain_against_tokens")}
    systems = [replace(linear_result("generic"), against_baseline=None)]
    comparison = replace(made_up(), **lists, made_from={}, systems=systems)
    text = Structure(page_of(comparison, tmp_path)).text
    for heading in ("Learning curves", "Pretraining", "Tokenization examples", "Inputs", "Gain from more labels"):
        assert heading not in text
    assert "All metrics" in text


def test_terminal_table() -> None:
    lines = report.table_text(made_up()).replace(report.NOTHING, "-").splitlines()
    assert lines[:5] == [
        "val_acc, weighted F1:  head          fine-tuned           difference",
        "TF-IDF                 -             0.650, 0.690         -0.090 [-0.100, -0.080]     worse",
        "generic                0.550, 0.450  0.720, 0.780 ±0.004  -                           baseline",
        "adapted                0.550, 0.450  0.720, 0.792 ±0.004  +0.0120 [+0.0003, +0.0210]  better",
        "",
    ]
    assert lines[5:7] == ["adapted is better than generic: +1.2 points.", "adapted is as good."]


def test_one_system_alone_has_no_smallest_difference() -> None:
    comparison = made_up()
    alone = replace(comparison, systems=[system for system in comparison.systems if not system.against_baseline][:1])
    assert "Smallest true difference" in report.table_text(comparison)
    assert "Smallest true difference" not in report.table_text(alone)


def test_equivalence_is_said_in_every_table(tmp_path: Path) -> None:
    comparison = made_up()
    generic, adapted = comparison.systems[1:]
    near = Difference(0.001, -0.005, 0.007, "no difference", -0.004, 0.006, equivalent=True, smallest_shown=0.0086)
    both = replace(near, difference=0.006, low=0.001, verdict="better", smallest_shown=0.0079)
    systems = [
        replace(adapted, name="near", against_baseline=near),
        generic,
        replace(adapted, name="both", against_baseline=both),
    ]
    comparison = replace(comparison, systems=systems, equivalence_points=1.5)
    text = report.table_text(comparison)
    assert [line.split("]")[1].strip() for line in text.splitlines() if line.startswith(("near", "both"))] == [
        "equivalent",
        "better, equivalent",
    ]
    page = " ".join(Structure(page_of(comparison, tmp_path)).text.split())
    markdown = (tmp_path / "comparison.md").read_text("utf-8")
    for said in (" ".join(text.split()), page.replace("\N{NO-BREAK SPACE}", " "), markdown):
        assert "the 90 % interval of the difference lies within ±1.5 points" in said
        assert "(80 % power, two-sided 5 %), in points: near 0.9; both 0.8." in said
    assert "= equivalent" in page
    assert "▲ better, equivalent" in page
    assert "| +0.001 [-0.005, +0.007] | equivalent |" in markdown


def test_markdown_table() -> None:
    lines = report.markdown_table(made_up()).replace(report.NOTHING, "-").splitlines()
    assert lines[3] == "| generic | 0.550 ±0.004 | 0.450 ±0.004 | 0.720 ±0.004 | 0.780 ±0.004 | - | baseline |"
    assert len(lines) == 5


def test_page_explains_its_figures(page: Structure) -> None:
    text = " ".join(page.text.split())
    for sentence in (
        "Predicted: python 0.90.",
        "Predicted: none (highest: r 0.20).",
        "over decisions with a probability of 0.1 or more",
        "dev stays whole; all seeds use the same subset of each size",
        "Peak memory: the maximum of the process",
        "over test texts (paired bootstrap) and seeds",
    ):
        assert sentence in text


def test_one_seed_has_no_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (plots, gain_plots):
        monkeypatch.setattr(module, "draw_plot", lambda draw, height, alt: plots.Plot("<svg/>", alt))
    comparison = replace(made_up(), seeds=[1])
    assert "One seed" in report.table_text(comparison)
    assert "does not include the variance over seeds" in " ".join(report.table_text(comparison).split())
    assert "none with one seed" in page_of(comparison, tmp_path)


def test_calibration_error_can_be_unknown() -> None:
    generic = made_up().systems[1]
    unknown = replace(generic, calibration=Calibration(generic.calibration.points, None))
    (panel,) = gain_plots.calibration_panel([unknown])
    assert panel.alt.endswith("generic unknown.")
