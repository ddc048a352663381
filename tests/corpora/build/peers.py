"""Compares ways from Posts.xml to clean text on one core: megabytes of XML a second of CPU time.

    python -m tests.corpora.big_dump Posts.xml --megabytes 100 --dumps FOLDER_WITH_DUMPS
    python -m tests.corpora.build.peers Posts.xml

`expat alone` parses the rows and keeps nothing: no way in Python is faster. The peers make text and write nothing; this
project filters, drops duplicates, joins answers to questions and writes Parquet, too. lxml takes part where it is
installed.
"""

import argparse
import contextlib
import importlib.util
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from bs4 import BeautifulSoup

from corpora.build.build import build_corpus
from corpora.config import CorpusConfig
from corpora.sources.dump import dump_lines


def expat_alone(path: Path) -> None:
    """expat, line by line as this project reads a dump."""
    for _, line in dump_lines(path):
        if line.startswith(b"<row"):
            expat.ParserCreate("utf-8").Parse(line, True)


def ours(path: Path) -> None:
    """The whole stage 'corpora build', in this process."""
    config = CorpusConfig(source="dump", path=str(path), processes=1)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        build_corpus(Path(folder) / "out", config)


def lxml_and_beautiful_soup(path: Path) -> None:
    """lxml's iterparse, and Beautiful Soup with lxml's HTML parser."""
    from lxml import etree

    for _, row in etree.iterparse(str(path), tag="row"):
        if row.get("PostTypeId") in ("1", "2"):
            BeautifulSoup(row.get("Body", ""), "lxml").get_text()
        row.clear()
        while row.getprevious() is not None:
            del row.getparent()[0]


def pairing(path: Path) -> None:
    """As EleutherAI's stackexchange-dataset: questions wait in memory for their answers, then both become text."""
    waiting: dict[str, tuple[dict[str, str], list[dict[str, str]]]] = {}
    for _, row in ElementTree.iterparse(path):  # noqa: S314 - a dump of one's own
        values = dict(row.attrib)
        if row.tag == "row" and values.get("PostTypeId") == "1" and int(values.get("AnswerCount", "0")):
            waiting[values["Id"]] = values, []
        elif row.tag == "row" and values.get("PostTypeId") == "2" and values.get("ParentId") in waiting:
            question, answers = waiting[values["ParentId"]]
            answers.append(values)
            if len(answers) == int(question["AnswerCount"]):
                for post in (question, *answers):
                    BeautifulSoup(post.get("Body", ""), "html.parser").get_text()
                del waiting[question["Id"]]
        row.clear()
    for question, answers in waiting.values():  # they would be left out; the work should be the same
        for post in (question, *answers):
            BeautifulSoup(post.get("Body", ""), "html.parser").get_text()


WAYS: dict[str, Callable[[Path], None]] = {
    "expat alone": expat_alone,
    "this project": ours,
    "lxml iterparse + Beautiful Soup (lxml)": lxml_and_beautiful_soup,
    "ElementTree iterparse + Beautiful Soup (html.parser), paired": pairing,
}


def seconds(path: Path, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Each way's CPU seconds in `rounds` rounds, in which the ways take turns."""
    ways = {name: way for name, way in WAYS.items() if "lxml" not in name or importlib.util.find_spec("lxml")}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    ours(path)  # imports
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way(path)
            taken[name].append(time.process_time() - start)
    yield from taken.items()


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dump", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    megabytes = given.dump.stat().st_size / 1e6
    print(f"| {megabytes:,.0f} MB of XML, one core | MB/s | of expat alone, in the same round |\n|---|---|---|")
    alone: list[float] = []
    for name, taken in seconds(given.dump, given.rounds):
        alone = alone or taken
        shares = sorted(base / own for base, own in zip(alone, taken, strict=True))
        rates = sorted(megabytes / each for each in taken)
        print(f"| {name} | {rates[0]:.1f} to {rates[-1]:.1f} | {shares[0]:.2f} to {shares[-1]:.2f} |")


if __name__ == "__main__":
    main()
