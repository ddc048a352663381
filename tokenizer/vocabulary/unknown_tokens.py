"""How much of the text that a vocabulary was trained on is unknown to it, and because of which characters."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tokenizers import Tokenizer, models

from stackbert.core.printing import printable
from tokenizer.files.token_notation import CONTINUATION_PREFIX, SENTENCEPIECE_SPACE, UNKNOWN

MOST_UNKNOWN = 0.005  # share of the tokens; English vocabularies have a fiftieth of it
NAMED_CHARACTERS = 20


@dataclass
class UnknownTokens:
    """Tokens of the text, and those that are unknown."""

    tokens: int = 0
    unknown: int = 0
    characters: Counter[str] = field(default_factory=Counter)
    """Character without a token -> unknown tokens in whose word it is."""

    @property
    def share(self) -> float:
        """Share of the tokens that are unknown."""
        return self.unknown / max(self.tokens, 1)

    def warning(self, advice: str) -> str:
        """What to say of a share above MOST_UNKNOWN: the characters, and what to do; else ''."""
        if self.share <= MOST_UNKNOWN:
            return ""
        frequent = sorted(self.characters, key=lambda c: (-self.characters[c], c))[:NAMED_CHARACTERS]
        named = f"most often for lack of {printable(' '.join(frequent))}" if frequent else "as words are too long"
        return f"warning: {self.share:.2%} of the text's tokens are unknown, {named}; {advice}"


def count_unknown(tokenizer: Tokenizer, words: Iterable[tuple[str, int]]) -> UnknownTokens:
    """Encode words that the tokenizer's own steps have split, each with its occurrences."""
    vocabulary, tokenize = tokenizer.get_vocab(), tokenizer.model.tokenize
    unknown_id = vocabulary[UNKNOWN]
    mark = "" if isinstance(tokenizer.model, models.WordPiece) else SENTENCEPIECE_SPACE
    found = UnknownTokens()
    for word, count in words:
        ids = [token.id for token in tokenize(mark + word)]
        found.tokens += count * len(ids)
        if unknown_id in ids:
            found.unknown += count * ids.count(unknown_id)
            prefix = "" if mark else CONTINUATION_PREFIX
            letters = dict.fromkeys([word[0], *(prefix + character for character in word[1:])])
            lacking = {letter.removeprefix(prefix) for letter in letters if letter not in vocabulary}
            found.characters.update(dict.fromkeys(lacking, count))
    return found
