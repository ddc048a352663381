"""Docstrings of a package written for the test, and of a real one."""

from pathlib import Path

import pytest

from corpora.config import CorpusConfig
from corpora.post import Post
from corpora.sources.package_topics import TOPIC_OF_WORD, WORDS_OF_TOPIC, topics
from corpora.sources.packages import chosen_packages, package_versions, packages_source, split_docstring
from stackbert.core.errors import StackbertError
from tests.corpora.outcomes import made_of

LONG = "This sentence makes the docstring long enough to tell what it is about, and then some more."


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shelf"
    (folder / "linalg" / "tests").mkdir(parents=True)
    (folder / "__init__.py").write_text(f'"""Shelves.\n\n{LONG}"""\nraise RuntimeError("was imported")\n')
    (folder / "linalg" / "_solvers.py").write_text(
        f'class Solver:\n    """Solve\n    a system.\n\n    {LONG}\n\n        indented\n    """\n'
        f'    def run(self):\n        "Short."\n'
        f'if True:\n    def f():\n        """One. {LONG}"""\nelse:\n    def f():\n        """Two. {LONG}"""\n'
    )
    (folder / "linalg" / "tests" / "test_solvers.py").write_text(f'"""{LONG}"""')
    (folder / "broken.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_docstrings_are_read_without_importing(package: Path) -> None:
    config = CorpusConfig(packages=("shelf",))
    source = packages_source(config)
    assert dict(source.inputs) == {"shelf": "unknown"}
    found = made_of(source, config)
    posts = [outcome for outcome in found if isinstance(outcome, Post)]
    assert [post.id for post in posts] == [
        "shelf",
        "shelf.linalg._solvers.Solver",
        "shelf.linalg._solvers.f",
        "shelf.linalg._solvers.f#2",
    ]
    assert posts[1].title == "Solve a system."
    assert posts[1].text == f"{LONG}\n\n    indented"
    assert posts[0].tags == ("shelf",)
    assert posts[1].tags == ("shelf", "linear-algebra", "linalg._solvers")
    assert posts[1].kind == "document"
    assert [outcome.reason for outcome in found if not isinstance(outcome, Post)] == ["bad_row", "too_short"]


def test_the_text_does_not_contain_the_module_name(package: Path) -> None:
    config = CorpusConfig(packages=("shelf",))
    for outcome in made_of(packages_source(config), config):
        assert not isinstance(outcome, Post) or "linalg" not in outcome.whole_text


def test_packages_are_found_by_import_or_distribution_name_and_unknown_ones_refused() -> None:
    assert chosen_packages(("stdlib", "NumPy", "numpy")) == ("stdlib", "numpy")
    with pytest.raises(StackbertError, match=r"'nunpy' is not installed.*nearest is 'numpy'"):
        chosen_packages(("nunpy",))


def test_versions_of_the_packages_are_recorded() -> None:
    versions = package_versions(("stdlib", "numpy"))
    assert versions["stdlib"].startswith("3.") and versions["numpy"][0].isdigit()


def test_default_list_reads_what_is_installed() -> None:
    assert {"stdlib", "numpy"} <= set(chosen_packages(()))


def test_a_long_first_paragraph_is_split_after_its_line() -> None:
    title, text = split_docstring("First line.\n" + "more words " * 30)
    assert title == "First line." and text.startswith("more words")


def test_each_word_has_one_topic() -> None:
    assert sum(len(words.split()) for words in WORDS_OF_TOPIC.values()) == len(TOPIC_OF_WORD)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("scipy.sparse.linalg._eigen", ("sparse", "linear-algebra")),
        ("transformers.models.clip.image_processing_clip", ("images", "preprocessing")),
        ("tensorflow.python.ops.gen_image_ops", ("images",)),
        ("datasets.utils", ()),
    ],
)
def test_topics_come_from_the_modules_below_the_package(module: str, expected: tuple[str, ...]) -> None:
    assert topics(module) == expected
