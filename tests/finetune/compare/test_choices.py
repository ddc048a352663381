"""How a search is reported."""

from dataclasses import replace

from finetune.compare import gain_plots, plots, report
from finetune.compare.choices import choice_lines, choice_sentences, choice_table, search_warnings
from finetune.trials.search import Candidate, Search
from tests.finetune.compare.made_up import made_up
from tests.pages import Structure


def search(name: str, pooling: str, rate: float) -> Search:
    rates = [Candidate("learning_rate", each, 0.71, 90.0, each == rate) for each in (1e-5, 5e-5, 2e-4)]
    poolings = [Candidate("pooling", each, 0.512, 60.0, each == pooling) for each in ("cls", "mean")]
    return Search(name, 1, [*poolings, *rates])


SEARCHES = [search("generic", "mean", 5e-5), search("ada|pted", "cls", 2e-4)]


def test_table_has_every_candidate_and_marks_the_chosen():
    header, lines = choice_table(SEARCHES)
    assert header == [
        *("", "pooling cls", "pooling mean", "learning rate 1e-05", "learning rate 5e-05", "learning rate 0.0002"),
        "further time",
    ]
    assert lines[0] == ["generic", "0.512", "0.512 (chosen)", "0.710", "0.710 (chosen)", "0.710", "4.0 min"]
    assert choice_lines([]) == []
    assert r"ada\|pted" in choice_lines(SEARCHES)[1]


def test_sentence_names_choices_and_cost():
    assert choice_sentences(SEARCHES) == [
        "Chosen on dev: generic pooling mean, learning rate 5e-05; ada|pted pooling cls, learning rate 0.0002. 10 "
        "candidates were tried, in 8.0 min beside the trials above."
    ]
    assert choice_sentences([]) == []


def test_best_rate_at_an_end_of_the_candidates_is_warned_of():
    [warning] = search_warnings(SEARCHES)
    assert warning == (
        "The highest learning rate of the search was the best, so that one beyond it may be better: ada|pted."
    )
    assert "lowest" in search_warnings([search("one", "cls", 1e-5)])[0]


def test_report_shows_the_choices(tmp_path, monkeypatch):
    for module in (plots, gain_plots):
        monkeypatch.setattr(module, "draw_plot", lambda draw, height, alt: plots.Plot("<svg/>", alt))
    report.write_report(replace(made_up(), searches=SEARCHES), tmp_path)
    page = " ".join(Structure((tmp_path / "report.html").read_text("utf-8")).text.split())
    markdown = (tmp_path / "comparison.md").read_text("utf-8")
    for said in (page, markdown):
        assert "Chosen on dev, for each checkpoint" in said
        assert "from the same candidates for all" in said
    assert "0.512 (chosen)" in page
    assert "Chosen on dev: generic pooling mean" in " ".join(
        report.table_text(replace(made_up(), searches=SEARCHES)).split()
    )
    report.write_report(made_up(), tmp_path)
    assert "Chosen on dev" not in (tmp_path / "report.html").read_text("utf-8")
