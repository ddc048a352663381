"""Stage 'tokenizer train': a vocabulary trained from word counts.

SentencePiece's byte-pair-encoding trainer (one thread, no sampling, so that each run gives the same bytes) learns
candidate pieces from the counts; `pruning` then chooses those that suit WordPiece's greedy encoding.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from corpora.post import pretraining_posts
from stackbert.core.artifact import SCRATCH, Manifest, build_artifact
from stackbert.core.errors import require
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.packed_rows import identify_tokenizer
from tokenizer.files.token_notation import SPECIALS
from tokenizer.vocabulary.alphabet import Alphabet, LetterCounts, choose_alphabet
from tokenizer.vocabulary.base_steps import BaseSteps
from tokenizer.vocabulary.export import build_tokenizer, save_tokenizer
from tokenizer.vocabulary.extension import build_extended, check_extension, extend_vocabulary, read_base
from tokenizer.vocabulary.lexicon import build_lexicon
from tokenizer.vocabulary.pruning import prune_pieces
from tokenizer.vocabulary.script_rules import choose_steps
from tokenizer.vocabulary.sentencepiece_trainer import train_pieces, train_sentencepiece
from tokenizer.vocabulary.unknown_tokens import count_unknown
from tokenizer.vocabulary.word_counts import SliceCounter, WordCounter, WordCounts, count_tags, count_words, merge_runs
from tokenizer.vocabulary.wordpiece import MAX_WORD_CHARACTERS

STAGE = "tokenizer train"
CANDIDATES_PER_TOKEN = 2  # pieces learned for each token of the vocabulary; three were no better


def train_tokenizer(posts: Path, out: Path, config: TokenizerConfig, base: Path | None = None) -> Manifest:
    """Train a vocabulary on `posts` (a corpus or a labelled set) and write `tokenizer.json` and related files to `out`.

    Validation posts are excluded, so that they can measure how the vocabulary generalizes. `base` is the folder of the
    tokenizer that `config.extend` names. Raises StackbertError if `config.vocab_size` is too small for the alphabet, or
    if the base cannot be extended.
    """
    require(
        (base is not None) == bool(config.extend),
        f"extend {config.extend!r}: goes with the base's folder, give both or neither",
    )
    folder = pretraining_posts(posts)
    inputs: dict[str, Path | str] = {"posts": posts}
    if base:
        inputs["base"] = identify_tokenizer(base)
    if config.lexicon_path:
        inputs["lexicon"] = Path(config.lexicon_path)
    # the output does not depend on the number of processes
    recorded = replace(config, processes=0)
    return build_artifact(out, STAGE, recorded, inputs, lambda staging: _train(folder, staging, config, base))


@dataclass(frozen=True)
class CountedText:
    """The words of a corpus, and what they are counted for."""

    words: WordCounts
    """Words with at least `min_count` occurrences, most frequent first, ties by code point, and the terms."""
    terms: list[str]
    """The terms of the lexicon that get a token each."""
    rare: LetterCounts
    """Characters of the other words."""
    runs: tuple[Path, ...]
    """Files with all words of the text, where it is counted with every term of the lexicon whole."""
    rare_terms: frozenset[str]
    """Those terms among them that are split after all."""


def build_vocabulary(
    words: WordCounts, lexicon: Iterable[str], config: TokenizerConfig, alphabet: Alphabet | None = None
) -> list[str]:
    """The tokens, position = id: special tokens, alphabet, lexicon terms, then pieces in the order of learning.

    The alphabet is that of `words` where none is given.
    """
    alphabet = alphabet or choose_alphabet(words, LetterCounts(), config)
    terms = [term for term in lexicon if words.get(term, 0) >= config.min_count]
    required = dict.fromkeys([*SPECIALS, *alphabet.first, *alphabet.continuing, *terms])
    learnable = _learnable_words(words, config, alphabet.characters)
    pieces = config.pieces
    # a term already has its token, so nothing is learned from it
    training_words = ((word, count) for word, count in learnable.items() if word not in required)
    size = CANDIDATES_PER_TOKEN * config.vocab_size if pieces == "pruned" else config.vocab_size
    candidates = train_pieces(training_words, size, "unigram" if pieces == "unigram" else "bpe")
    tokens = list(required | dict.fromkeys(candidates))
    if pieces == "pruned":
        tokens = prune_pieces(learnable, tokens, frozenset(required), config.vocab_size)
    return tokens[: config.vocab_size]


def _learnable_words(words: WordCounts, config: TokenizerConfig, alphabet: frozenset[str]) -> WordCounts:
    """The words to learn pieces from; any word with a character outside the alphabet becomes [UNK]."""
    return {
        word: count
        for word, count in words.items()
        if count >= config.min_count and len(word) <= MAX_WORD_CHARACTERS and alphabet.issuperset(word)
    }


def _train(posts: Path, folder: Path, config: TokenizerConfig, base: Path | None) -> dict[str, Any]:
    if base:
        base_vocabulary = read_base(base)
        lowercase, steps = base_vocabulary.lowercase, base_vocabulary.steps
        text = _count_text(posts, folder / SCRATCH, config, lowercase, steps)
        tokens, extension_steps = extend_vocabulary(base_vocabulary, text.words, text.terms, config)
        tokenizer = build_extended(base_vocabulary, tokens, text.terms)
        save_tokenizer(tokenizer, folder, lowercase, base_vocabulary.max_length)
        check_extension(base, tokens, folder)
        figures: dict[str, Any] = {"extension": list(map(asdict, extension_steps))} if extension_steps else {}
        advice = "the base's alphabet stays as it is: train a new vocabulary instead, without extend"
    else:
        lowercase, steps = config.lowercase, choose_steps(posts, config)
        text = _count_text(posts, folder / SCRATCH, config, lowercase, steps)
        tokenizer, figures = _build(text, config, steps)
        save_tokenizer(tokenizer, folder, lowercase)
        advice = f"raise alphabet_coverage (now {config.alphabet_coverage}), and vocab_size with it"
    size = tokenizer.get_vocab_size()
    print(f"vocabulary of {size:,} tokens from {len(text.words):,} distinct words, {len(text.terms):,} lexicon terms")
    unknown = count_unknown(tokenizer, _all_words(text, lowercase, steps))
    print(f"unknown: {unknown.share:.3%} of the text's {unknown.tokens:,} tokens")
    if warning := unknown.warning(advice):
        print(warning, file=sys.stderr)
    return {
        "tokens": size,
        "distinct_words": len(text.words),
        "running_words": sum(text.words.values()),
        "lexicon_terms": len(text.terms),
        "unknown_share": round(unknown.share, 7),
        **figures,
    }


def _build(text: CountedText, config: TokenizerConfig, steps: BaseSteps) -> tuple[Tokenizer, dict[str, Any]]:
    """A tokenizer with a new vocabulary, and figures for the manifest."""
    alphabet = choose_alphabet(text.words, text.rare, config)
    size = len(alphabet.characters)
    print(f"alphabet of {size:,} characters, {alphabet.coverage:.3%} of the text's")
    figures = {"characters": size, "characters_covered": round(alphabet.coverage, 7)} | {
        name: getattr(steps, name) for name in ("keeps_accents", "splits_runs")
    }
    if config.model == "wordpiece":
        tokens = build_vocabulary(text.words, text.terms, config, alphabet)
        return build_tokenizer(tokens, text.terms, config.lowercase, steps), figures
    words = _learnable_words(text.words, config, alphabet.characters)
    return train_sentencepiece(words, text.terms, config, config.lowercase, steps, alphabet.characters), figures


def _count_text(posts: Path, scratch: Path, config: TokenizerConfig, lowercase: bool, steps: BaseSteps) -> CountedText:
    """Count the words of the text as the tokenizer with these steps will split it; a tag's uses count as well."""
    scratch.mkdir()
    tags = count_tags(posts, config.validation_share)
    normalizer = steps.build_normalizer(lowercase)
    normalize = normalizer.normalize_str if normalizer else str
    uses: Counter[str] = Counter()
    for tag, count in tags.items():
        uses[normalize(tag)] += count
    lexicon = [term for term in dict.fromkeys(map(normalize, build_lexicon(tags, config))) if len(term.split()) == 1]
    lexicon = steps.keep_whole(lexicon)
    counter = SliceCounter(
        tuple(lexicon), lowercase, config.title_weight, config.validation_share, scratch, steps=steps
    )
    runs = count_words(posts, counter, config.processes)
    found = {term: uses[term] for term in lexicon}
    words, rare = WordCounts(), LetterCounts()
    for word, count in merge_runs(runs):
        if word in found:
            found[word] += count
        elif count >= config.min_count:
            words[word] = count
        else:
            rare.add(word, count)
    terms = [term for term in lexicon if found[term] >= config.min_count]
    words |= {term: found[term] for term in terms}
    # a term too rare for a token has no alternative in the pattern either: the words it is split into are counted
    split = {term: count for term, count in found.items() if 0 < count < config.min_count}
    WordCounter(terms, lowercase, steps).count(split, words)
    ordered = dict(sorted(words.items(), key=lambda item: (-item[1], item[0])))
    return CountedText(ordered, terms, rare, tuple(runs), frozenset(lexicon).difference(terms))


def _all_words(text: CountedText, lowercase: bool, steps: BaseSteps) -> Iterator[tuple[str, int]]:
    """Every word of the text with its occurrences, as the tokenizer splits it."""
    split: WordCounts = {}
    for word, count in merge_runs(text.runs):
        if word in text.rare_terms:
            split[word] = count
        else:
            yield word, count
    words: WordCounts = {}
    WordCounter(text.terms, lowercase, steps).count(split, words)
    yield from words.items()
