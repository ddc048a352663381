"""Trains SentencePiece's models on word counts and converts them to the tokenizers library.

One thread and no sampling: the same counts give the same bytes.
"""

import io
import itertools
from collections.abc import Iterable, Iterator
from typing import Literal

import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tokenizer.config import TokenizerConfig
from tokenizer.files.token_notation import CONTINUATION_PREFIX, SENTENCEPIECE_SPACE, SPECIALS, UNKNOWN
from tokenizer.vocabulary.base_steps import OUR_STEPS, BaseSteps
from tokenizer.vocabulary.export import add_normalizer_and_template
from tokenizer.vocabulary.word_counts import WordCounts

MAX_WORDS = 1_000_000  # given to the trainer, the most frequent ones; it takes a kilobyte for each
RARE_SCORE_STEP = 10.0  # below the least likely piece: log probability of characters without a piece

Algorithm = Literal["bpe", "unigram"]


def train_pieces(words: Iterable[tuple[str, int]], size: int, algorithm: Algorithm) -> list[str]:
    """At most `size` pieces in WordPiece notation, most useful first; `words` are pairs of word and occurrences."""
    return [_wordpiece(piece) for piece, _ in _train(words, size, algorithm) if piece != SENTENCEPIECE_SPACE]


def train_sentencepiece(
    words: WordCounts,
    terms: list[str],
    config: TokenizerConfig,
    lowercase: bool,
    steps: BaseSteps = OUR_STEPS,
    alphabet: Iterable[str] = (),
) -> Tokenizer:
    """A tokenizer with SentencePiece's model `config.model` ("unigram" or "bpe"); each of `terms` is one token.

    The characters of `words` and of `alphabet` are tokens too.
    """
    characters = sorted({*alphabet, *_characters(words)})
    algorithm: Algorithm = "unigram" if config.model == "unigram" else "bpe"
    scored = dict(_train(words.items(), config.vocab_size - len(SPECIALS) - len(terms), algorithm))
    whole = [SENTENCEPIECE_SPACE + term for term in terms]
    model: models.Model
    if algorithm == "unigram":
        least = min(scored.values(), default=0.0)
        scored |= {character: least - RARE_SCORE_STEP for character in characters if character not in scored}
        scored |= dict.fromkeys(whole, 0.0)  # the highest log probability: never split
        entries = [*((name, 0.0) for name in SPECIALS), *scored.items()]
        model = models.Unigram(entries[: config.vocab_size], unk_id=SPECIALS.index(UNKNOWN), byte_fallback=False)
    else:
        pieces = list(dict.fromkeys([*SPECIALS, *sorted({SENTENCEPIECE_SPACE, *characters}), *whole, *scored]))
        ids = {piece: number for number, piece in enumerate(pieces[: config.vocab_size])}
        # with ignore_merges a word that is a piece is one token, also a term that no merges produce
        model = models.BPE(vocab=ids, merges=_merges(ids), unk_token=UNKNOWN, fuse_unk=True, ignore_merges=True)
    tokenizer = Tokenizer(model)
    metaspace = pre_tokenizers.Metaspace(replacement=SENTENCEPIECE_SPACE, prepend_scheme="always", split=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([steps.build_pretokenizer(tuple(terms)), metaspace])
    tokenizer.decoder = decoders.Metaspace(replacement=SENTENCEPIECE_SPACE, prepend_scheme="always")
    return add_normalizer_and_template(tokenizer, lowercase, steps)


def _train(words: Iterable[tuple[str, int]], size: int, algorithm: Algorithm) -> list[tuple[str, float]]:
    """The trained pieces with their scores: log probabilities, or for BPE the negative rank of the merge."""
    # a tab separates word and count in the trainer's input, and SentencePiece's space cannot be part of a word
    sentences: Iterator[str] = (
        f"{word}\t{count}" for word, count in words if "\t" not in word and SENTENCEPIECE_SPACE not in word
    )
    sentences = itertools.islice(sentences, MAX_WORDS)
    first = next(sentences, None)
    if first is None or size < 1:
        return []
    model_file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=itertools.chain([first], sentences),
        model_writer=model_file,
        model_type=algorithm,
        vocab_size=size,
        hard_vocab_limit=False,
        input_format="tsv",
        normalization_rule_name="identity",
        character_coverage=1.0,
        split_by_unicode_script=False,
        split_by_number=False,
        max_sentencepiece_length=64,
        bos_id=-1,
        eos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_proto=model_file.getvalue())
    numbers = (number for number in range(model.get_piece_size()) if not model.is_unknown(number))
    return [(model.id_to_piece(number), model.get_score(number)) for number in numbers]


def _characters(words: WordCounts) -> list[str]:
    return sorted(set().union(*words)) if words else []


def _merges(ids: dict[str, int]) -> list[tuple[str, str]]:
    """All pairs of pieces that form another piece, in the order of the piece formed: the rank of the merges."""
    return [
        (piece[:cut], piece[cut:])
        for piece in ids
        if piece not in SPECIALS
        for cut in range(1, len(piece))
        if piece[:cut] in ids and piece[cut:] in ids
    ]


def _wordpiece(piece: str) -> str:
    return piece[1:] if piece.startswith(SENTENCEPIECE_SPACE) else CONTINUATION_PREFIX + piece
