"""How many tokens an extension needs: tokens are added while they shorten the text enough.

AdaLM (Yao et al. 2021, arXiv 2106.13474, section 3.1) adds tokens by the thousand until the text's likelihood gains
less than 1 %. Here the text's length in tokens decides: it is what a token saves in every later step.
"""

# W words

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tokenizer.vocabulary.word_counts import WordCounts
from tokenizer.vocabulary.wordpiece import count_word_tokens

STEP = 1_000  # tokens that are added before the text is counted again


@dataclass(frozen=True)
class ExtensionStep:
    """The text in the vocabulary with some of the new tokens."""

    added: int
    tokens: int
    """Of the text, a title's counted `title_weight` times."""
    bytes_per_token: float
    """UTF-8, without white space."""
    saved: float | None
    """Share of the tokens that were saved for each STEP tokens since the step before; None for the first."""


def choose_size(
    with_new: Callable[[int], Sequence[str]], least: int, most: int, words: WordCounts, min_saved: float
) -> tuple[int, list[ExtensionStep]]:
    """How many new tokens to add, at least `least`, and the steps that decided it, which are printed.

    `with_new(n)` is the vocabulary with the first n of its `most` new tokens. Tokens are added by the STEP until that
    saves less than the share `min_saved`; the last ones, fewer than STEP, are held to what STEP of their kind would
    save.
    """
    names, counts_W = list(words), np.fromiter(words.values(), np.int64, len(words))
    num_bytes = sum(len(word.encode()) * count for word, count in words.items())
    print(f"{'new tokens':>10}{'tokens of text':>16}{'bytes a token':>15}{f'saved by {STEP:,}':>17}")
    steps: list[ExtensionStep] = []
    added = least
    while True:
        tokens = int((count_word_tokens(names, with_new(added)) * counts_W).sum())
        saved = (1 - tokens / steps[-1].tokens) * STEP / (added - steps[-1].added) if steps else None
        steps.append(ExtensionStep(added, tokens, round(num_bytes / max(tokens, 1), 4), saved and round(saved, 5)))
        share = "" if saved is None else f"{saved:.2%}"
        print(f"{added:>10,}{tokens:>16,}{steps[-1].bytes_per_token:>15.3f}{share:>17}", flush=True)
        if saved is not None and saved < min_saved:
            print(f"{steps[-2].added:,} are added: with more, {STEP:,} save less than {min_saved:.2%}")
            return steps[-2].added, steps
        if added == most:
            print(f"{added:,} are added: no other word is left")
            return added, steps
        added = min(added + STEP, most)
