"""A made-up Posts.xml whose answers belong to questions in other parts."""

import random
from pathlib import Path

from corpora.config import CorpusConfig

SMALL_PARTS = CorpusConfig(source="dump", path="Posts.xml", processes=1, part_megabytes=0.02)
WORDS = "sort list array query table index join loop async await class method error stack null value print read".split()


def sentence(seed: int, words: int = 12) -> str:
    """Random words."""
    numbers = random.Random(seed)
    return " ".join(numbers.choice(WORDS) for _ in range(words))


def write_dump(folder: Path, count: int = 900, name: str = "Posts.xml") -> Path:
    """Write questions, each followed by an answer to any question, and a short answer; some answers are duplicates."""
    rows = []
    for number in range(0, count, 3):
        parent = 3 * random.Random(number).randrange(count // 3)
        question = (
            f'<row Id="{number}" PostTypeId="1" Title="Question {number}" Tags="&lt;t{number % 7}&gt;" '
            f'Body="&lt;p&gt;{sentence(number)}&lt;/p&gt;&#xA;" />'
        )
        seed = number if number % 30 else number % 60 + 1
        answer = (
            f'<row Id="{number + 1}" PostTypeId="2" ParentId="{parent}" '
            f'Body="&lt;p&gt;{sentence(seed + 1)}&lt;/p&gt;&#xA;" />'
        )
        rows += [question, answer, f'<row Id="{number + 2}" PostTypeId="2" ParentId="9999999" Body="short" />']
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\ufeff<?xml version='1.0'?>\n<posts>\n" + "\n".join(f"  {row}" for row in rows) + "\n</posts>\n")
    return path
