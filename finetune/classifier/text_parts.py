"""What of a text is read: its first tokens, or so many of its title, its body and its code."""

import re
from dataclasses import dataclass

from finetune.config import FinetuneConfig
from tokenizer.encoding.reader import TextReader

_FENCED = re.compile(r"^(`{3,})[^\n`]*\n(.*?)(?:^\1[ ]*$|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Parts:
    """What a text is made of."""

    title: str
    """The first line."""
    body: str
    """What follows, without blocks of code."""
    code: str
    """The blocks of code between lines of backticks, which 'corpora build --code mark' writes."""


def take_apart(text: str) -> Parts:
    r"""The parts of a text as the labelled set holds it.

    >>> take_apart("Join?\nI tried\n```\nSELECT 1\n```\nin vain")
    Parts(title='Join?', body='I tried\n\nin vain', code='SELECT 1\n')
    """
    title, _, rest = text.partition("\n")
    code = "\n".join(found[2] for found in _FENCED.finditer(rest))
    return Parts(title, _FENCED.sub("", rest), code)


def read_texts(texts: list[str], reader: TextReader, config: FinetuneConfig) -> tuple[list[list[int]], list[int]]:
    """Token ids of each text between [CLS] and [SEP], `config.max_length` at most, and how many it has uncut.

    With a budget for a part, title, body and code are read in this order; without, a text as it stands. Parts without
    one share what those with one leave.
    """
    budgets: tuple[int, ...] = config.part_budgets
    if any(budgets):
        apart = [take_apart(text) for text in texts]
        columns = [[getattr(parts, name) for parts in apart] for name in ("title", "body", "code")]
    else:
        columns, budgets = [texts], (0,)
    room = config.max_length - 2
    sequences, lengths = [], []
    for parts in zip(*(reader.ids_without_specials(column) for column in columns), strict=True):
        free = room - sum(min(len(ids), most) for ids, most in zip(parts, budgets, strict=True))
        ids = []
        for part, most in zip(parts, budgets, strict=True):
            taken = part[: most or free]
            free -= 0 if most else len(taken)
            ids += taken
        sequences.append([reader.first_id, *ids, reader.last_id])
        lengths.append(sum(map(len, parts)) + 2)
    return sequences, lengths
