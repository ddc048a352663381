"""The alphabet of a vocabulary: the characters that have tokens of their own, so that rare words can be spelled."""

from collections import Counter
from dataclasses import dataclass, field

from stackbert.core.errors import StackbertError
from tokenizer.config import TokenizerConfig
from tokenizer.files.token_notation import CONTINUATION_PREFIX, SPECIALS
from tokenizer.vocabulary.word_counts import WordCounts


@dataclass
class LetterCounts:
    """Occurrences of characters at the start of words and inside them."""

    first: Counter[str] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)

    def add(self, word: str, count: int) -> None:
        """Count the characters of a word that occurs `count` times."""
        self.first[word[0]] += count
        if count == 1:
            self.inside.update(word[1:])  # in C: most words of a corpus occur once
            return
        for character in word[1:]:
            self.inside[character] += count


@dataclass(frozen=True)
class Alphabet:
    """Single characters as WordPiece writes them."""

    first: list[str]
    """Tokens that begin a word, in code point order."""
    continuing: list[str]
    """Tokens that continue one, with the prefix."""
    coverage: float
    """Share of the text's characters that have a token where they stand."""

    @property
    def characters(self) -> frozenset[str]:
        """Every character, wherever it may stand."""
        return frozenset(self.first) | {token.removeprefix(CONTINUATION_PREFIX) for token in self.continuing}


def choose_alphabet(words: WordCounts, rare: LetterCounts, config: TokenizerConfig) -> Alphabet:
    """The `alphabet_size` most frequent characters of `words`, and more until `alphabet_coverage` is reached.

    `rare` has the characters of the words that are too rare to be in `words`: a large part of Chinese characters.
    """
    letters = LetterCounts(rare.first.copy(), rare.inside.copy())
    frequent: Counter[str] = Counter()
    inside_words: set[str] = set()
    for word, count in words.items():
        letters.add(word, count)
        for character in word:
            frequent[character] += count
        inside_words.update(word[1:])
    first = set(_most_frequent(frequent)[: config.alphabet_size])
    continuing = first & inside_words
    total = letters.first.total() + letters.inside.total()
    covered = sum(letters.first[c] for c in first) + sum(letters.inside[c] for c in continuing)
    missing = {(c, True): n for c, n in letters.first.items() if c not in first}
    missing |= {(c, False): n for c, n in letters.inside.items() if c not in continuing}
    for (character, begins), count in sorted(missing.items(), key=lambda item: (-item[1], item[0])):
        if covered >= config.alphabet_coverage * total:
            break
        (first if begins else continuing).add(character)
        covered += count
    prefixed = [CONTINUATION_PREFIX + character for character in sorted(continuing)]
    _check_size(len(SPECIALS) + len(first) + len(prefixed), config)
    return Alphabet(sorted(first), prefixed, covered / max(total, 1))


def _most_frequent(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda c: (-counts[c], c))


def _check_size(taken: int, config: TokenizerConfig) -> None:
    if taken >= config.vocab_size:
        raise StackbertError(
            f"vocab_size {config.vocab_size} is too small for {taken} special tokens and single characters; raise "
            f"it, or lower alphabet_size (now {config.alphabet_size}) or alphabet_coverage (now "
            f"{config.alphabet_coverage})"
        )
