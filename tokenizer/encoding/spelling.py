"""What the tokens of a vocabulary spell, and how a tokenizer of any kind spells that.

WordPiece marks tokens that continue a word (`java`, `##java`); SentencePiece and byte-level BPE mark the space before a
word (`\u2581java` and `\u0120java`, `java`). Byte-level tokens, and SentencePiece's of single bytes (`<0xE2>`), may be
parts of a character.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stackbert.core.scripts import UNSPACED, script_of
from tokenizer.encoding.reader import TextReader
from tokenizer.files.token_notation import BYTE_LEVEL_SPACE, CONTINUATION_PREFIX, SENTENCEPIECE_SPACE

BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")
WORD_BEFORE = "xx"  # letters before a token that continues a word; two, as our pre-tokenizer's hyphens need
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
BYTE_LETTERS = [chr(byte) for byte in range(0x100)]
"""Byte -> the character that stands for it in byte-level vocabularies (GPT-2's table: the others follow U+0100)."""
for _number, _byte in enumerate(sorted(set(range(0x100)) - set(_PRINTABLE))):
    BYTE_LETTERS[_byte] = chr(0x100 + _number)
BYTES = {letter: byte for byte, letter in enumerate(BYTE_LETTERS)}


class Spelling(NamedTuple):
    """The letters of a token, and whether a word begins with it."""

    letters: bytes
    """UTF-8, without the space before a word; maybe a part of a character."""
    begins_word: bool

    @property
    def text(self) -> str | None:
        """The letters as text; None for parts of a character."""
        try:
            return self.letters.decode()
        except UnicodeDecodeError:
            return None


def spellings(reader: TextReader) -> list[Spelling]:
    """What each token spells, position = id; nothing where no token has the id."""
    added = reader.tokenizer.get_added_tokens_decoder()  # they are written as they stand in text
    return [_spelling(reader, token, number in added) for number, token in enumerate(reader.tokens())]


def _spelling(reader: TextReader, token: str, is_added: bool) -> Spelling:
    if reader.begins_word is not None:
        continues = token.startswith(CONTINUATION_PREFIX) and not is_added
        text = token.removeprefix(CONTINUATION_PREFIX) if continues else token
        return Spelling(text.encode("utf-8", "replace"), not continues)
    if not reader.space_mark:
        return Spelling(token.encode("utf-8", "replace"), begins_word=True)
    letters = token.encode("utf-8", "replace") if is_added else _letters(reader, token)
    return Spelling(letters.removeprefix(b" "), letters.startswith(b" "))


def _letters(reader: TextReader, token: str) -> bytes:
    """The UTF-8 of a token in a vocabulary that marks spaces, with the space before it."""
    if reader.space_mark == BYTE_LEVEL_SPACE and all(letter in BYTES for letter in token):
        return bytes(BYTES[letter] for letter in token)
    byte = BYTE_TOKEN.fullmatch(token)
    return bytes.fromhex(byte[1]) if byte else token.replace(SENTENCEPIECE_SPACE, " ").encode("utf-8", "replace")


def with_guessed_space(word: Spelling) -> Spelling:
    """WordPiece's `word` for a vocabulary that marks spaces, where the marks of WordPiece do not tell of them.

    A space is likely before a letter or digit that begins a word, and not before punctuation, nor in scripts that are
    written without spaces.
    """
    first = (word.text or " ")[:1]
    return word._replace(begins_word=word.begins_word and first.isalnum() and script_of(first) not in UNSPACED)


def spell(reader: TextReader, words: Sequence[Spelling]) -> list[list[int]]:
    """The ids with which `reader` spells each of `words`; empty where it cannot."""
    if reader.begins_word is not None:
        pieces = _spell_by_wordpiece(reader, words)
    elif reader.space_mark:
        pieces = (_spell_with_mark(reader, word) for word in words)
    else:
        pieces = reader.ids_without_specials([word.text or "" for word in words])
    return [[] if reader.unknown_id in found else found for found in pieces]


def _spell_by_wordpiece(reader: TextReader, words: Sequence[Spelling]) -> Iterator[list[int]]:
    """Words as in running text; what continues a word as it would after two other letters, if it can be read there."""
    whole = reader.ids_without_specials([word.text or "" for word in words])
    vocabulary = reader.tokenizer.get_vocab()
    for word, pieces in zip(words, whole, strict=True):
        continuing = [] if word.begins_word or not word.text else _spell_inside_word(reader, word.text, vocabulary)
        yield continuing or pieces


def _spell_inside_word(reader: TextReader, text: str, vocabulary: dict[str, int]) -> list[int]:
    """Ids of `text` after two letters, of which none are unknown; empty where it cannot be spelled there."""
    tokenizer = reader.tokenizer
    joined = WORD_BEFORE + text
    normalized = tokenizer.normalizer.normalize_str(joined) if tokenizer.normalizer else joined
    split = tokenizer.pre_tokenizer.pre_tokenize_str(normalized) if tokenizer.pre_tokenizer else [(normalized, None)]
    (first, _), *others = split
    inside = _greedy(first.removeprefix(WORD_BEFORE), vocabulary)
    pieces = inside + [token.id for word, _ in others for token in tokenizer.model.tokenize(word)]
    is_read = first.startswith(WORD_BEFORE) and (bool(inside) or first == WORD_BEFORE)
    return pieces if is_read and reader.unknown_id not in pieces else []


def _greedy(text: str, vocabulary: dict[str, int]) -> list[int]:
    """Ids of `text` split greedily, from the left, into the longest continuations; empty where it cannot be."""
    pieces: list[int] = []
    while text:
        end = next((end for end in range(len(text), 0, -1) if CONTINUATION_PREFIX + text[:end] in vocabulary), 0)
        if not end:
            return []
        pieces.append(vocabulary[CONTINUATION_PREFIX + text[:end]])
        text = text[end:]
    return pieces


def _spell_with_mark(reader: TextReader, word: Spelling) -> list[int]:
    """Ids that the model gives the letters, after its mark where a space is before them."""
    tokenizer, text = reader.tokenizer, word.text
    if not word.letters and not word.begins_word:
        return []
    if text is not None and tokenizer.normalizer:
        text = tokenizer.normalizer.normalize_str(text)
    if reader.space_mark == BYTE_LEVEL_SPACE:
        letters = word.letters if text is None else text.encode()
        written = "".join(BYTE_LETTERS[byte] for byte in letters)
    elif text is None:
        ids = [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in word.letters]
        return [] if None in ids else [number for number in ids if number is not None]
    else:
        written = text.lstrip(f" {SENTENCEPIECE_SPACE}").replace(" ", SENTENCEPIECE_SPACE)
    mark = reader.space_mark if word.begins_word else ""
    return [token.id for token in tokenizer.model.tokenize(mark + written)]
