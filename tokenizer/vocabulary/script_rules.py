"""What a vocabulary does with accents and with scripts beside Latin, chosen from the text.

Uncased BERT strips every mark that Unicode calls non-spacing. In English text that costs nothing. In other scripts the
mark is part of the letter: Russian \u0439 would become \u0438, Japanese \u304c \u304b, and Hindi would lose its vowels.
"""

import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from corpora.post import shards
from stackbert.core.scripts import CODE_POINTS, count_code_points, letters_by_script, script_of
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.script_runs import RUN_SCRIPTS
from tokenizer.vocabulary.base_steps import OUR_STEPS, BaseSteps

SAMPLED_GROUPS = 20  # row groups, spread over the corpus; about 100 MB of text
LEAST_SHARE = 0.005  # of the letters; English Stack Overflow has a hundredth of it, Portuguese ten times as much


def choose_steps(posts: Path, config: TokenizerConfig) -> BaseSteps:
    """Our normalizer and pre-tokenizer for the text of `posts`, as `accents` and `script_runs` say."""
    counts = _sample_code_points(posts)
    marked, runs = _share_of_accents(counts), _share_of_runs(counts)
    keeps_accents = config.accents == "keep" or (config.accents == "auto" and marked >= LEAST_SHARE)
    splits_runs = config.script_runs == "split" or (config.script_runs == "auto" and runs >= LEAST_SHARE)
    if config.accents == "auto" and keeps_accents and config.lowercase:
        print(f"accents are kept: stripping them would change {marked:.1%} of the letters")
    if config.script_runs == "auto" and splits_runs:
        print(f"words of other scripts are split from Latin ones beside them: {runs:.1%} of the letters are of such")
    return replace(OUR_STEPS, keeps_accents=keeps_accents, splits_runs=splits_runs)


def _sample_code_points(posts: Path) -> npt.NDArray[np.int64]:
    """Occurrences of each code point in titles and bodies of some row groups, (CODE_POINTS,)."""
    groups = [(path, number) for path in shards(posts) for number in range(pq.read_metadata(path).num_row_groups)]
    counts = np.zeros(CODE_POINTS, np.int64)
    for index in sorted({number * len(groups) // SAMPLED_GROUPS for number in range(SAMPLED_GROUPS)}):
        path, number = groups[index]
        with pq.ParquetFile(path) as file:
            rows = file.read_row_group(number, columns=["title", "text"])
        for name in rows.column_names:
            counts += count_code_points(text or "" for text in rows[name].to_pylist())
    return counts


def _share_of_accents(counts: npt.NDArray[np.int64]) -> float:
    """Share of the letters that BERT's stripping of accents would change."""
    letters = changed = 0
    for number in np.flatnonzero(counts).tolist():
        character = chr(number)
        letters += int(counts[number]) * bool(script_of(character))
        is_mark = unicodedata.category(character) == "Mn"
        changed += int(counts[number]) * (is_mark or unicodedata.normalize("NFD", character) != character)
    return changed / max(letters, 1)


def _share_of_runs(counts: npt.NDArray[np.int64]) -> float:
    """Share of the letters that are of scripts whose words stand beside Latin ones without a space."""
    scripts = letters_by_script(counts)
    return sum(scripts[name] for name in RUN_SCRIPTS) / max(scripts.total(), 1)
