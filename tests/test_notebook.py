"""The notebook of the documentation, executed in small, and its page in a browser."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.pages import browser_page
from tests.paths import ROOT

pytestmark = pytest.mark.notebook

NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"
SMALL = """
posts, tokens, texts, test_texts, seeds = 1_000, 8_192, 100, 60, (0,)
packages, out = ("numpy", "scipy", "sklearn", "pandas", "matplotlib"), "runs"
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> Any:
    """The notebook after its run in a kernel of its own, with a cell of smaller sizes after its parameters."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source += SMALL
    folder = tmp_path_factory.mktemp("notebook")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    client = nbclient.NotebookClient(notebook, timeout=1_200, resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment)
    return notebook


def printed(notebook: Any, stream: str = "stdout") -> str:
    """What all cells printed."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == stream)


def test_the_notebook_is_stored_without_outputs():
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def test_every_stage_says_what_it_did(executed):
    text = printed(executed)
    assert "corpus: read" in text and "labelled: read" in text and "vocabulary of 8,000 tokens" in text
    generic, own = (next(line for line in text.splitlines() if line.startswith(name)) for name in ("MiniLM", "code-a"))
    assert "nu ##mp ##y" in generic and " numpy " in own and " c++ " in own
    assert text.count("validation at step 2") == 2, "both adaptations"
    assert "adapted" in text and "baseline" in text and "report: " in text


def test_the_classifier_knows_a_figure_from_a_table(executed):
    plotting, joining = printed(executed).strip().splitlines()[-2:]
    assert "matplotlib" in plotting.partition(",")[0] or "plotting" in plotting.partition(",")[0]
    assert joining.split()[0] != plotting.split()[0]


def test_libraries_print_no_start_up_lines(executed):
    errors = printed(executed, "stderr")
    assert "I0000" not in errors and "PyTorch was not found" not in errors and "Warning" not in errors


def test_the_report_is_shown_in_the_notebook(executed, tmp_path: Path):
    nbconvert = pytest.importorskip("nbconvert")
    page_text, _ = nbconvert.HTMLExporter(template_name="basic").from_notebook_node(executed)
    (tmp_path / "notebook.html").write_text(page_text, "utf-8")
    with browser_page(1_200) as (page, said):
        page.goto((tmp_path / "notebook.html").as_uri())
        report = page.frame_locator('iframe[title="report"]')
        report.locator("table").first.wait_for()
        assert report.locator("h1").is_visible() and report.locator("img, svg").count() > 2
        assert page.locator("img, svg").first.is_visible(), "the learning curves"
        report.locator("h1").scroll_into_view_if_needed()
        page.screenshot(path=tmp_path / "notebook.png", full_page=True)
        assert not said
