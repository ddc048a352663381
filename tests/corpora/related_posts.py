"""A made-up dump whose questions have accepted answers and duplicates, most of them in another part."""

from pathlib import Path

from corpora.build.build import build_corpus
from corpora.config import CorpusConfig
from tests.corpora.dumps import sentence

QUESTIONS = 240
CONFIG = CorpusConfig(
    source="dump", path="Posts.xml", post_links="PostLinks.xml", site="a.org", processes=1, part_megabytes=0.02
)
MISSING = 7_777
"""Id that no post has."""


def accepted(question: int) -> int | None:
    """Id of the answer that a question accepted; that of question 10 is not in the dump, some accepted none."""
    if question % 3 == 2:
        return None
    return MISSING if question == 10 else 1_000 + question


def original(question: int) -> int | None:
    """Id of the question that another is a duplicate of; that of question 21 is not in the dump."""
    if question % 4 != 1:
        return None
    return MISSING if question == 21 else QUESTIONS - 1 - question


def title(question: int) -> str:
    return f"{sentence(question, 4)} {question}"


def answer(question: int) -> str:
    """The text of the answer 1000 + `question`."""
    return f"{_about(question, 1_000)} {question}"


def write_related(folder: Path) -> Path:
    """Posts.xml, first the questions and then two answers to each, and PostLinks.xml."""
    rows, links = [], []
    for number in range(QUESTIONS):
        named = accepted(number)
        rows.append(
            f'<row Id="{number}" PostTypeId="1" {f"""AcceptedAnswerId="{named}" """ if named else ""}'
            f'Title="{title(number)}" Tags="&lt;t{number % 2}&gt;" {_body(_about(number, 2_000))} />'
        )
        if original(number) is not None:
            links.append(f'<row Id="{number}" PostId="{number}" RelatedPostId="{original(number)}" LinkTypeId="3" />')
    for number in reversed(range(QUESTIONS)):
        for first, text in ((1_000, answer(number)), (5_000, sentence(5_000 + number))):
            rows.append(f'<row Id="{first + number}" PostTypeId="2" ParentId="{number}" {_body(text)} />')
    for name, root, lines in (("Posts.xml", "posts", rows), ("PostLinks.xml", "postlinks", links)):
        (folder / name).write_text("\n".join([f"<{root}>", *lines, f"</{root}>"]))
    return folder


def _about(question: int, seed: int) -> str:
    """The words of a question's title backwards, and others."""
    return f"{' '.join(reversed(sentence(question, 4).split()))} {sentence(seed + question, 9)}"


def _body(text: str) -> str:
    return f'Body="&lt;p&gt;{text}&lt;/p&gt;"'


def related_corpus(folder: Path) -> Path:
    """The corpus of `write_related`, of several shards."""
    build_corpus(folder / "corpus", CONFIG, write_related(folder))
    return folder / "corpus"
