"""Stage 'tokenizer train': a vocabulary trained from word counts.

SentencePiece's byte-pair-encoding trainer (one thread, no sampling, so that each run gives the same bytes) learns
candidate pieces from the counts; `pruning` then chooses those that suit WordPiece's greedy encoding.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tokenizers import Tokenizer

from corpora.post import pretraining_posts
from stackbert.core.artifact import SCRATCH, Manifest, build_artifact
from stackbert.core.errors import StackbertError, require
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.packed_rows import identify_tokenizer
from tokenizer.files.token_notation import CONTINUATION_PREFIX, SPECIALS
from tokenizer.vocabulary.base_steps import OUR_STEPS, BaseSteps
from tokenizer.vocabulary.export import build_tokenizer, save_tokenizer
from tokenizer.vocabulary.extension import build_extended, check_extension, extend_vocabulary, read_base
from tokenizer.vocabulary.lexicon import build_lexicon
from tokenizer.vocabulary.pruning import prune_pieces
from tokenizer.vocabulary.sentencepiece_trainer import train_pieces, train_sentencepiece
from tokenizer.vocabulary.word_counts import SliceCounter, WordCounter, WordCounts, count_tags, count_words
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


def build_vocabulary(words: WordCounts, lexicon: Iterable[str], config: TokenizerConfig) -> list[str]:
    """The tokens, position = id: special tokens, alphabet, lexicon terms, then pieces in the order of learning."""
    alphabet, continuing = _alphabet(words, config)
    terms = [term for term in lexicon if words.get(term, 0) >= config.min_count]
    required = dict.fromkeys([*SPECIALS, *alphabet, *continuing, *terms])
    learnable = _learnable_words(words, config, set(alphabet))
    pieces = config.pieces
    # a term already has its token, so nothing is learned from it
    training_words = ((word, count) for word, count in learnable.items() if word not in required)
    size = CANDIDATES_PER_TOKEN * config.vocab_size if pieces == "pruned" else config.vocab_size
    candidates = train_pieces(training_words, size, "unigram" if pieces == "unigram" else "bpe")
    tokens = list(required | dict.fromkeys(candidates))
    if pieces == "pruned":
        tokens = prune_pieces(learnable, tokens, frozenset(required), config.vocab_size)
    return tokens[: config.vocab_size]


def _alphabet(words: WordCounts, config: TokenizerConfig) -> tuple[list[str], list[str]]:
    """The most frequent characters: as tokens that begin a word, and as tokens that continue one."""
    characters: Counter[str] = Counter()
    inside_words: set[str] = set()
    for word, count in words.items():
        for character in word:
            characters[character] += count
        inside_words.update(word[1:])
    alphabet = sorted(sorted(characters, key=lambda c: (-characters[c], c))[: config.alphabet_size])
    continuing = [CONTINUATION_PREFIX + character for character in alphabet if character in inside_words]
    taken = len(SPECIALS) + len(alphabet) + len(continuing)
    if taken >= config.vocab_size:
        raise StackbertError(
            f"vocab_size {config.vocab_size} is too small for {taken} special tokens and single characters; raise "
            f"it, or lower alphabet_size (now {config.alphabet_size})"
        )
    return alphabet, continuing


def _learnable_words(words: WordCounts, config: TokenizerConfig, alphabet: set[str]) -> WordCounts:
    """The words to learn pieces from; any word with a character outside the alphabet becomes [UNK]."""
    return {
        word: count
        for word, count in words.items()
        if count >= config.min_count and len(word) <= MAX_WORD_CHARACTERS and alphabet.issuperset(word)
    }


def _train(posts: Path, folder: Path, config: TokenizerConfig, base: Path | None) -> dict[str, int]:
    base_vocabulary = read_base(base) if base else None
    if base and base_vocabulary:
        words, terms = _count_words_and_terms(
            posts, folder / SCRATCH, config, base_vocabulary.lowercase, base_vocabulary.steps
        )
        tokens = extend_vocabulary(base_vocabulary, words, terms, config)
        tokenizer = build_extended(base_vocabulary, tokens, terms)
        save_tokenizer(tokenizer, folder, base_vocabulary.lowercase, base_vocabulary.max_length)
        check_extension(base, tokens, folder)
    else:
        words, terms = _count_words_and_terms(posts, folder / SCRATCH, config, config.lowercase)
        tokenizer = _build(words, terms, config)
        save_tokenizer(tokenizer, folder, config.lowercase)
    size = tokenizer.get_vocab_size()
    print(f"vocabulary of {size:,} tokens from {len(words):,} distinct words, {len(terms):,} lexicon terms")
    return {
        "tokens": size,
        "distinct_words": len(words),
        "running_words": sum(words.values()),
        "lexicon_terms": len(terms),
    }


def _build(words: WordCounts, terms: list[str], config: TokenizerConfig) -> Tokenizer:
    """A tokenizer with a new vocabulary."""
    if config.model == "wordpiece":
        return build_tokenizer(build_vocabulary(words, terms, config), terms, config.lowercase)
    alphabet, _ = _alphabet(words, config)
    return train_sentencepiece(_learnable_words(words, config, set(alphabet)), terms, config, config.lowercase)


def _count_words_and_terms(
    posts: Path, scratch: Path, config: TokenizerConfig, lowercase: bool, steps: BaseSteps = OUR_STEPS
) -> tuple[WordCounts, list[str]]:
    """Words with at least `min_count` occurrences, most frequent first, ties by code point; and the terms among them.

    Each use of a tag counts as an occurrence of it.
    """
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
    found = {term: uses[term] for term in lexicon}
    words: WordCounts = {}
    for word, count in count_words(posts, counter, config.processes):
        if word in found:
            found[word] += count
        elif count >= config.min_count:
            words[word] = count
    terms = [term for term in lexicon if found[term] >= config.min_count]
    words |= {term: found[term] for term in terms}
    # a term too rare for a token has no alternative in the pattern either: the words it is split into are counted
    rare = {term: count for term, count in found.items() if 0 < count < config.min_count}
    WordCounter(terms, lowercase, steps).count(rare, words)
    return dict(sorted(words.items(), key=lambda item: (-item[1], item[0]))), terms
