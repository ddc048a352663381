"""The report: what it shows, that it shows any text as text, and that it is the same bytes each time."""

import base64
import copy
import json
import unicodedata
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest

from finetune.compare import gain_plots, plots, report
from tests.pages import HOSTILE, SVG_ELEMENTS, Structure


def estimate(mean: float, half: float = 0.004) -> dict[str, Any]:
    return {"mean": mean, "low": mean - half, "high": mean + half, "values": [mean - half / 2, mean + half / 2]}


def epochs(number: int, start: float) -> list[dict[str, float]]:
    return [
        {"epoch": n, "train_loss": 1 / n, "dev_loss": 1 / n, "dev_weighted_f1": start + n / 100, "dev_val_acc": 0.5}
        for n in range(1, number + 1)
    ]


def encoder_row(name: str, weighted_f1: float, against: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "encoder",
        "checkpoint": f"models/{name}",
        "parameters": 22_713_216,
        "vocab_size": 30_522,
        "tokens_per_text": 213.4,
        "share_cut": 0.071,
        "phases": {
            "head": {"val_acc": estimate(0.55), "weighted_f1": estimate(0.45)},
            "whole": {"val_acc": estimate(0.72), "weighted_f1": estimate(weighted_f1)},
        },
        "metrics": {
            "weighted_f1": estimate(weighted_f1),
            "micro_f1": estimate(weighted_f1 + 0.01),
            "without_label": estimate(0.1),
        },
        "thresholds": [[0.31], [0.33]],
        "disk": 90_852_864,
        "memory": 1_900_000_000,
        "texts_per_second": 210.0,
        "adapted_tokens": 1_300_000,
        "calibration": {"points": [{"predicted": 0.05, "true": 0.04, "decisions": 90}], "error": 0.012},
        "errors": [
            {"id": "7", "text": "why", "labels": ["c++"], "predicted": [{"label": "python", "score": 0.9}]},
            {"id": "8", "text": "how", "labels": ["c++"], "predicted": [], "highest": {"label": "r", "score": 0.2}},
        ],
        "per_label": [
            {"label": "python", "support": 1203, "precision": 0.8, "recall": 0.7, "f1": 0.75},
            {"label": "c++", "support": 640, "precision": 0.9, "recall": 0.8, "f1": 0.85},
        ],
        "curves": [{"seed": seed, "head": epochs(5, 0.3), "whole": epochs(3, 0.7)} for seed in (1, 2)],
        "seconds": {"features": 61.0, "head": 9.4, "whole": 7380.0},
        "against_baseline": against,
    }


def linear_row(name: str) -> dict[str, Any]:
    row = encoder_row(name, 0.69, {"difference": -0.09, "low": -0.1, "high": -0.08, "verdict": "worse"})
    unknown = ("parameters", "disk", "memory", "vocab_size", "tokens_per_text", "share_cut", "adapted_tokens")
    none = dict.fromkeys(unknown) | {"curves": []}
    whole = {"val_acc": estimate(0.65, 0), "weighted_f1": estimate(0.69, 0)}
    return row | none | {"kind": "linear", "phases": {"head": None, "whole": whole}, "seconds": {"fit": 12.0}}


def made_up() -> dict[str, Any]:
    better = {"difference": 0.012, "low": 0.0003, "high": 0.021, "verdict": "better"}
    return {
        "title": "Tags of questions",
        "verdict": "adapted is better than generic: +1.2 points.",
        "data": {"labels": ["c++", "python"], "train": 40_000, "dev": 5_000, "test": 10_000, "labels_per_text": 1.27},
        "recipe": {"best_by": "loss", "head_epochs": 50, "learning_rate": 1e-5},
        "seeds": [1, 2],
        "baseline": "generic",
        "rows": [linear_row("TF-IDF"), encoder_row("generic", 0.78, None), encoder_row("adapted", 0.792, better)],
        "pretraining": [
            {
                "name": "adapted",
                "curve": [
                    {"step": step, "tokens": 10**6 * step, "loss": 3.0, "accuracy": 0.4, "bits_per_byte": 2 - step / 10}
                    for step in range(5)
                ],
            }
        ],
        "examples": [
            {"text": "mysql error", "tokens": {"generic": ["my", "##sql", "error"], "adapted": ["mysql", "error"]}}
        ],
        "definitions": {"weighted_f1": "Averaged with supports as weights.", "micro_f1": "All decisions together."},
        "warnings": ["generic gives no label at all to 30 % of the test texts."],
        "gain_against_labels": [
            {
                "name": name,
                "points": [
                    {"texts": n, "weighted_f1": estimate(0.6 + n / 1e5), "against_baseline": found}
                    for n in (500, 40_000)
                ],
            }
            for name, found in (("generic", None), ("adapted", better))
        ],
        "gain_against_tokens": [
            {
                "name": "adapted",
                "points": [
                    {"tokens": n, "weighted_f1": estimate(0.78), "against_baseline": found}
                    for n, found in ((0, None), (10**6, better), (4 * 10**6, better))
                ],
            }
        ],
        "made_from": {"labels": "3f2a"},
        "settings": {"baseline": "generic", "resamples": 1000, "label_sizes": [500]},
        "versions": {"python": "3.11.9"},
    }


def with_text(text: str) -> dict[str, Any]:
    """The same comparison with `text` wherever text can come from outside."""
    comparison = made_up()
    comparison |= {
        "title": text,
        "verdict": text,
        "baseline": text,
        "recipe": {text: text, "best_by": "loss"},
        "made_from": {text: text},
    }
    comparison |= {"settings": {text: text}, "versions": {text: text}}
    comparison["data"]["labels"][0] = text
    comparison["definitions"] = {text: text}
    generic = comparison["rows"][1]
    generic |= {"name": text, "checkpoint": text, "seconds": {text: 1.0}}
    generic["metrics"][text] = estimate(0.5)
    for row in comparison["rows"]:
        row["per_label"][0]["label"] = text
        row["errors"] = [
            {"id": text, "text": text, "labels": [text], "predicted": [{"label": text, "score": 0.9}]},
            {"id": text, "text": text, "labels": [], "predicted": [], "highest": {"label": text, "score": 0.2}},
        ]
    comparison["warnings"] = [text]
    comparison["gain_against_labels"][0]["name"] = text
    comparison["examples"] = [{"text": text, "tokens": {text: ["my", "##" + text], "adapted": [text]}}]
    comparison["pretraining"][0]["name"] = text
    return comparison


def page_of(comparison: dict[str, Any], folder: Path) -> str:
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
    comparison = made_up() | {"rows": [with_text(text)["rows"][1] for text in HOSTILE]}
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


def test_content_security_policy_forbids_all_but_styles_and_embedded_pictures(tmp_path: Path) -> None:
    page = Structure(page_of(made_up(), tmp_path))
    assert ("meta", ("http-equiv", "content")) in page.elements
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert ("meta", "content", policy) in page.attributes
    assert ("html", "lang", "en") in page.attributes


def test_page_and_plots_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    first = page_of(made_up(), tmp_path)
    matplotlib.rcParams["font.size"] = 20  # as another program's setting
    try:
        assert page_of(made_up(), tmp_path) == first
        assert matplotlib.rcParams["font.size"] == 20
    finally:
        matplotlib.rcdefaults()


def test_writing_leaves_the_comparison_as_it_was(tmp_path: Path) -> None:
    comparison = made_up()
    before = copy.deepcopy(comparison)
    page_of(comparison, tmp_path)
    assert comparison == before
    json.dumps(comparison)


def test_each_plot_says_its_figures_in_words() -> None:
    figures = plots.build_plots(made_up())
    assert [len(figures[name]) for name in ("intervals", "curves", "pretraining", "labels")] == [2, 2, 1, 1]
    assert "adapted 0.792 (95 % interval 0.788 to 0.796)" in figures["intervals"][1].alt
    assert "TF-IDF" not in figures["intervals"][0].alt
    assert "generic goes from 0.310 at epoch 1 to 0.350 at epoch 5" in figures["curves"][0].alt
    assert "from 2.000 at tokens 0 to 1.600 at tokens 4,000,000" in figures["pretraining"][0].alt
    assert "from 0.750 (python) to 0.850 (c++)" in figures["labels"][0].alt


def test_gains_are_drawn_beside_the_baseline_and_each_point_is_listed(tmp_path: Path) -> None:
    comparison = made_up()
    panels = gain_plots.build_gain_plots(comparison)["gains"]
    words = [panel.alt for panel in panels]
    assert "generic 0.605 at 500, 1.000 at 40,000; adapted 0.605 at 500" in words[0]
    assert words[1] == (
        "Difference to the baseline against labelled training texts: adapted 0.012 at 500, 0.012 at 40,000."
    )
    assert "adapted 0.780 at 0, 0.780 at 1,000,000" in words[2]
    page = Structure(page_of(comparison, tmp_path)).text
    assert "Training texts: every point" in page
    assert "No tokens: the base as it is." in page
    markdown = (tmp_path / "comparison.md").read_text("utf-8")
    assert "| adapted | 500 | 0.605 ±0.004 | +0.0120 [+0.0003, +0.0210] | better |" in markdown
    assert f"| generic | 40,000 | 1.000 ±0.004 | {report.NOTHING} | baseline |" in markdown


def test_labels_are_sorted_by_support() -> None:
    assert plots.labels_by_support(made_up()["rows"]) == [("python", 1203), ("c++", 640)]


def test_sections_without_data_are_left_out(tmp_path: Path) -> None:
    lists = {key: [] for key in ("pretraining", "examples", "warnings", "gain_against_labels", "gain_against_tokens")}
    comparison = made_up() | lists | {"made_from": {}, "rows": [linear_row("generic")]}
    comparison["rows"][0]["against_baseline"] = None
    text = Structure(page_of(comparison, tmp_path)).text
    for heading in ("Learning curves", "Pretraining", "How each vocabulary", "Made from", "What more labels"):
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
    assert lines[5] == "adapted is better than generic: +1.2 points."


def test_markdown_table() -> None:
    lines = report.markdown_table(made_up()).replace(report.NOTHING, "-").splitlines()
    assert lines[3] == "| generic | 0.550 ±0.004 | 0.450 ±0.004 | 0.720 ±0.004 | 0.780 ±0.004 | - | baseline |"
    assert len(lines) == 5


def test_page_says_what_its_figures_are(tmp_path: Path) -> None:
    comparison = made_up()
    comparison["rows"][1]["calibration"]["error"] = None
    text = " ".join(Structure(page_of(comparison, tmp_path)).text.split())
    for said in (
        "Predicted: python 0.90.",
        "Predicted: none (highest: r 0.20).",
        "over decisions given 0.1 or more",
        "dev stays whole; one subset of each size serves all seeds",
        "Peak memory: the most that the process held",
        "the chance of the test texts (paired bootstrap) and of the seeds",
    ):
        assert said in text


def test_one_seed_is_said_to_have_no_interval(tmp_path: Path) -> None:
    comparison = made_up() | {"seeds": [1]}
    assert "One seed" in report.table_text(comparison)
    assert "the chance of the seed is not in it" in " ".join(report.table_text(comparison).split())
    assert "none with one seed" in page_of(comparison, tmp_path)
