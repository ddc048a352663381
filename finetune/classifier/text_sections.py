"""Token ids of texts: truncated as a whole, or section by section (title, body, code)."""

import re
from dataclasses import dataclass

from finetune.config import FinetuneConfig
from tokenizer.encoding.reader import TextReader

_FENCED = re.compile(r"^(`{3,})[^\n`]*\n(.*?)(?:^\1[ ]*$|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Sections:
    """The sections of a text."""

    title: str
    """The first line."""
    body: str
    """The rest, without code blocks."""
    code: str
    """The code blocks, fenced with backticks by 'corpora build --code mark'."""


def split_sections(text: str) -> Sections:
    r"""Split a text of the labelled set into title, body and code.

    >>> split_sections("Join?\nI tried\n```\nSELECT 1\n```\nin vain")
    Sections(title='Join?', body='I tried\n\nin vain', code='SELECT 1\n')
    """
    title, _, rest = text.partition("\n")
    code = "\n".join(block[2] for block in _FENCED.finditer(rest))
    return Sections(title, _FENCED.sub("", rest), code)


def encode_texts(texts: list[str], reader: TextReader, config: FinetuneConfig) -> tuple[list[list[int]], list[int]]:
    """Token ids of each text, at most `config.max_length` with [CLS] and [SEP], and its length before truncation.

    If any of `config.section_budgets` is set, a text is encoded as title, body, code, each truncated to its budget;
    sections without a budget share the remaining length. Otherwise a text is encoded as it is.
    """
    budgets: tuple[int, ...] = config.section_budgets
    if any(budgets):
        split = [split_sections(text) for text in texts]
        columns = [[getattr(sections, name) for sections in split] for name in ("title", "body", "code")]
    else:
        columns, budgets = [texts], (0,)
    sequences, lengths = [], []
    for sections in zip(*(reader.ids_without_specials(column) for column in columns), strict=True):
        reserved = sum(min(len(ids), budget) for ids, budget in zip(sections, budgets, strict=True))
        free = config.max_length - 2 - reserved
        sequence: list[int] = []
        for ids, budget in zip(sections, budgets, strict=True):
            taken = ids[: budget or free]
            free -= 0 if budget else len(taken)
            sequence += taken
        sequences.append([reader.first_id, *sequence, reader.last_id])
        lengths.append(sum(map(len, sections)) + 2)
    return sequences, lengths
