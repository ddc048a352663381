"""Scripts of letters: Latin, Cyrillic, Han and so on, by the names that Unicode gives characters."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

UNSPACED = ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar")
"""Scripts that are written without spaces between words."""
SCRIPTS = {
    **{name.upper(): name for name in ("Latin", "Greek", "Cyrillic", "Armenian", "Georgian", "Hebrew", "Arabic")},
    **{name.upper(): name for name in ("Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Tamil", "Telugu", "Kannada")},
    **{name.upper(): name for name in ("Malayalam", "Sinhala", "Tibetan", "Ethiopic", "Hangul", *UNSPACED[1:])},
    **{"CJK": "Han", "IDEOGRAPHIC": "Han", "KATAKANA-HIRAGANA": "Katakana"},
}
"""First word of a character's Unicode name -> its script."""
OTHER = "other"
WIDTHS = ("FULLWIDTH", "HALFWIDTH")
CODE_POINTS = 0x110000


@lru_cache(maxsize=CODE_POINTS)
def script_of(character: str) -> str:
    """The script of a letter or of a mark that belongs to one script; OTHER for other letters, '' for the rest.

    >>> [script_of(character) for character in "aй漢ーｱé7"]
    ['Latin', 'Cyrillic', 'Han', 'Katakana', 'Katakana', 'Latin', '']
    """
    kind = unicodedata.category(character)[0]
    words = unicodedata.name(character, "").split()
    name = next((word for word in words if word not in WIDTHS), "")
    if kind not in "LM":
        return ""
    return SCRIPTS.get(name, OTHER if kind == "L" else "")


def count_code_points(texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """Occurrences of each code point in the texts, (CODE_POINTS,)."""
    units = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    return np.bincount(units, minlength=CODE_POINTS)


def letters_by_script(counts: npt.NDArray[np.int64]) -> Counter[str]:
    """Letters of each script among the code points that occur `counts` times, (CODE_POINTS,)."""
    scripts: Counter[str] = Counter()
    for number in np.flatnonzero(counts).tolist():
        if script := script_of(chr(number)):
            scripts[script] += int(counts[number])
    return scripts
