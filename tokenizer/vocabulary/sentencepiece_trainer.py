"""SentencePiece's trainers run on word counts, and what they find in the forms of the tokenizers library.

One thread and no sampling: the same counts give the same bytes.
"""

import io
import itertools
from collections.abc import Iterable, Iterator
from typing import Literal

import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tokenizer.config import TokenizerConfig
from tokenizer.vocabulary.export import SPECIALS, with_frame
from tokenizer.vocabulary.pretokenizer import build_pretokenizer
from tokenizer.vocabulary.pruning import CONTINUATION, UNKNOWN
from tokenizer.vocabulary.word_counts import WordCounts

WORD_START = "\u2581"  # SentencePiece's mark on a piece that begins a word
MOST_WORDS = 1_000_000  # that the trainer sees, the most frequent: it takes a kilobyte for each
RARE_SCORE_STEP = 10.0  # below the least likely piece: for characters that no piece holds

Algorithm = Literal["bpe", "unigram"]


def learn_pieces(words: Iterable[tuple[str, int]], size: int, algorithm: Algorithm) -> list[str]:
    """At most `size` pieces of words, given with their occurrences, in WordPiece notation and the trainer's order: the
    most useful first."""
    return [_wordpiece(piece) for piece, _ in _trained(words, size, algorithm) if piece != WORD_START]


def learn_sentencepiece(words: WordCounts, terms: list[str], config: TokenizerConfig, lowercase: bool) -> Tokenizer:
    """A tokenizer with SentencePiece's own model, `config.model`; `terms` are one token each."""
    algorithm: Algorithm = "unigram" if config.model == "unigram" else "bpe"
    scored = dict(_trained(words.items(), config.vocab_size - len(SPECIALS) - len(terms), algorithm))
    whole = [WORD_START + term for term in terms]
    model: models.Model
    if algorithm == "unigram":
        least = min(scored.values(), default=0.0)
        scored |= {character: least - RARE_SCORE_STEP for character in _characters(words) if character not in scored}
        scored |= dict.fromkeys(whole, 0.0)  # as likely as can be: read whole
        entries = [*((name, 0.0) for name in SPECIALS), *scored.items()]
        model = models.Unigram(entries[: config.vocab_size], unk_id=SPECIALS.index(UNKNOWN), byte_fallback=False)
    else:
        pieces = list(dict.fromkeys([*SPECIALS, *sorted({WORD_START, *_characters(words)}), *whole, *scored]))
        ids = {piece: number for number, piece in enumerate(pieces[: config.vocab_size])}
        # a word that is a piece is read as such, also a term that no merges lead to
        model = models.BPE(vocab=ids, merges=_merges(ids), unk_token=UNKNOWN, fuse_unk=True, ignore_merges=True)
    tokenizer = Tokenizer(model)
    mark = pre_tokenizers.Metaspace(replacement=WORD_START, prepend_scheme="always", split=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([build_pretokenizer(terms), mark])
    tokenizer.decoder = decoders.Metaspace(replacement=WORD_START, prepend_scheme="always")
    return with_frame(tokenizer, lowercase)


def _trained(words: Iterable[tuple[str, int]], size: int, algorithm: Algorithm) -> list[tuple[str, float]]:
    """SentencePiece's pieces with their scores: log probabilities, or for bpe minus the order of merging."""
    # a tab ends the word in the trainer's table, and its own mark cannot stand inside a word
    sentences: Iterator[str] = (
        f"{word}\t{count}" for word, count in words if "\t" not in word and WORD_START not in word
    )
    sentences = itertools.islice(sentences, MOST_WORDS)
    first = next(sentences, None)
    if first is None or size < 1:
        return []
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=itertools.chain([first], sentences),
        model_writer=trained,
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
    model = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    numbers = (number for number in range(model.get_piece_size()) if not model.is_unknown(number))
    return [(model.id_to_piece(number), model.get_score(number)) for number in numbers]


def _characters(words: WordCounts) -> list[str]:
    return sorted(set().union(*words)) if words else []


def _merges(ids: dict[str, int]) -> list[tuple[str, str]]:
    """Every way to put a piece together from two others, earlier pieces first: the merges in the order of learning."""
    return [
        (piece[:cut], piece[cut:])
        for piece in ids
        if piece not in SPECIALS
        for cut in range(1, len(piece))
        if piece[:cut] in ids and piece[cut:] in ids
    ]


def _wordpiece(piece: str) -> str:
    return piece[1:] if piece.startswith(WORD_START) else CONTINUATION + piece
