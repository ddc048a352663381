"""Words counted over a corpus: all that vocabulary training needs to see of it."""

import re
from collections import Counter
from collections.abc import Iterable

from tokenizers import normalizers, pre_tokenizers

WordCounts = dict[str, int]

# white space to Python, but control characters to the normalizer, which takes them out and joins what they part
CONTROL_SPACE = re.compile("[\x0b\x0c\x1c-\x1f\x85]")


def count_chunks(texts: Iterable[str]) -> Counter[str]:
    """Occurrences of each stretch without white space."""
    chunks: Counter[str] = Counter()
    for text in texts:
        chunks.update(CONTROL_SPACE.sub("", text).split())
    return chunks


def count_words(
    chunks: Counter[str], normalizer: normalizers.Normalizer, splitter: pre_tokenizers.PreTokenizer
) -> WordCounts:
    """Occurrences of each word, most frequent first, ties in code point order.

    The splitter never looks across white space, so splitting each distinct stretch once gives what splitting the whole
    text would, at the cost of the distinct ones.
    """
    words: Counter[str] = Counter()
    for chunk, count in chunks.items():
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(chunk)):
            words[word] += count
    return dict(sorted(words.items(), key=lambda item: (-item[1], item[0])))
