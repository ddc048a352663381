"""Vocabularies trained from word counts, and the stage that writes them.

WordPiece's pieces come from SentencePiece's byte-pair-encoding trainer run on the counts (one thread, no sampling),
whose output is the same bytes at each run, and are then chosen for WordPiece's greedy reading: see `pruning`.
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
from tokenizer.vocabulary.export import CONTINUATION, SPECIALS, build_tokenizer, save_tokenizer
from tokenizer.vocabulary.extension import BaseVocabulary, extend_vocabulary, read_base
from tokenizer.vocabulary.lexicon import build_lexicon
from tokenizer.vocabulary.pretokenizer import build_normalizer
from tokenizer.vocabulary.pruning import LONGEST_WORD, prune_pieces
from tokenizer.vocabulary.sentencepiece_trainer import learn_pieces, learn_sentencepiece
from tokenizer.vocabulary.word_counts import SliceCounter, WordCounts, WordSplitter, count_tags, count_words

STAGE = "tokenizer train"
CANDIDATES = 2  # pieces learned for each that is kept: three were no better


def train_tokenizer(posts: Path, out: Path, config: TokenizerConfig, base: Path | None = None) -> Manifest:
    """Train a vocabulary on the posts of `posts` (a corpus or a labelled set) and write `tokenizer.json` and kin.

    Posts of the held-out share are left out, so that later figures on them say something. `base` is the folder of the
    tokenizer that `config.extend` names. Raises StackbertError where the text is too small for the vocabulary's
    alphabet, or the base cannot be extended.
    """
    require((base is not None) == bool(config.extend), f"extend {config.extend!r}: needs the base's folder")
    folder = pretraining_posts(posts)
    inputs: dict[str, Path | str] = {"posts": posts}
    if base:
        inputs["base"] = identify_tokenizer(base)
    if config.lexicon_path:
        inputs["lexicon"] = Path(config.lexicon_path)
    # the number of processes changes nothing in the output
    recorded = replace(config, processes=0)
    return build_artifact(out, STAGE, recorded, inputs, lambda staging: _train(folder, staging, config, base))


def build_vocabulary(words: WordCounts, lexicon: Iterable[str], config: TokenizerConfig) -> list[str]:
    """The tokens, position = id: specials, alphabet, lexicon, then learned pieces in the order they were learned."""
    alphabet, inner = _alphabet(words, config)
    terms = [term for term in lexicon if words.get(term, 0) >= config.min_count]
    kept = dict.fromkeys([*SPECIALS, *alphabet, *inner, *terms])
    counted = _spelled(words, config, set(alphabet))
    pieces = config.pieces
    # a term has its token already, so there is nothing to learn from it
    learned_from = ((word, count) for word, count in counted.items() if word not in kept)
    size = CANDIDATES * config.vocab_size if pieces == "pruned" else config.vocab_size
    tokens = list(kept | dict.fromkeys(learn_pieces(learned_from, size, "unigram" if pieces == "unigram" else "bpe")))
    if pieces == "pruned":
        tokens = prune_pieces(counted, tokens, frozenset(kept), config.vocab_size)
    return tokens[: config.vocab_size]


def _alphabet(words: WordCounts, config: TokenizerConfig) -> tuple[list[str], list[str]]:
    """The most frequent characters, as they begin a word and as they go on in one."""
    characters: Counter[str] = Counter()
    continuing: set[str] = set()
    for word, count in words.items():
        for character in word:
            characters[character] += count
        continuing.update(word[1:])
    alphabet = sorted(sorted(characters, key=lambda c: (-characters[c], c))[: config.alphabet_size])
    inner = [CONTINUATION + character for character in alphabet if character in continuing]
    taken = len(SPECIALS) + len(alphabet) + len(inner)
    if taken >= config.vocab_size:
        raise StackbertError(
            f"vocab_size {config.vocab_size} is taken up by {taken} specials and single characters; raise it, or "
            f"lower alphabet_size (now {config.alphabet_size})"
        )
    return alphabet, inner


def _spelled(words: WordCounts, config: TokenizerConfig, alphabet: set[str]) -> WordCounts:
    """The words to learn from: one with a character outside the alphabet is read as [UNK], whatever is learned."""
    return {
        word: count
        for word, count in words.items()
        if count >= config.min_count and len(word) <= LONGEST_WORD and alphabet.issuperset(word)
    }


def _train(posts: Path, folder: Path, config: TokenizerConfig, base: Path | None) -> dict[str, int]:
    known = read_base(base) if base else None
    lowercase = known.lowercase if known else config.lowercase
    words, terms = _counted_words(posts, folder / SCRATCH, config, lowercase)
    tokenizer, tokens = _trained(words, terms, config, known, lowercase)
    save_tokenizer(tokenizer, folder, lowercase)
    print(f"vocabulary of {tokens:,} tokens from {len(words):,} distinct words, {len(terms):,} lexicon terms")
    return {
        "tokens": tokens,
        "distinct_words": len(words),
        "running_words": sum(words.values()),
        "lexicon_terms": len(terms),
    }


def _trained(
    words: WordCounts, terms: list[str], config: TokenizerConfig, known: BaseVocabulary | None, lowercase: bool
) -> tuple[Tokenizer, int]:
    """The tokenizer and its number of tokens."""
    if config.model != "wordpiece":
        alphabet, _ = _alphabet(words, config)
        tokenizer = learn_sentencepiece(_spelled(words, config, set(alphabet)), terms, config, lowercase)
        return tokenizer, tokenizer.get_vocab_size()
    tokens = extend_vocabulary(known, words, terms, config) if known else build_vocabulary(words, terms, config)
    return build_tokenizer(tokens, terms, lowercase), len(tokens)


def _counted_words(
    posts: Path, scratch: Path, config: TokenizerConfig, lowercase: bool
) -> tuple[WordCounts, list[str]]:
    """Words of at least `min_count` occurrences, most frequent first, ties in code point order; terms that are words.

    A tag's own uses count as occurrences of it.
    """
    scratch.mkdir()
    tags = count_tags(posts, config.validation_share)
    normalize = build_normalizer(lowercase).normalize_str
    uses: Counter[str] = Counter()
    for tag, count in tags.items():
        uses[normalize(tag)] += count
    lexicon = [term for term in dict.fromkeys(map(normalize, build_lexicon(tags, config))) if len(term.split()) == 1]
    counter = SliceCounter(tuple(lexicon), lowercase, config.title_weight, config.validation_share, scratch)
    found = {term: uses[term] for term in lexicon}
    words: WordCounts = {}
    for word, count in count_words(posts, counter, config.processes):
        if word in found:
            found[word] += count
        elif count >= config.min_count:
            words[word] = count
    terms = [term for term in lexicon if found[term] >= config.min_count]
    words |= {term: found[term] for term in terms}
    # a term too rare for a token of its own has no rule either: its words are what it falls into without one
    rare = {term: count for term, count in found.items() if 0 < count < config.min_count}
    WordSplitter(terms, lowercase).count(rare, words)
    return dict(sorted(words.items(), key=lambda item: (-item[1], item[0]))), terms
