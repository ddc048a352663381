"""Tiny tokenizers in the forms in which checkpoints are published, learned from a few texts."""

import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from stackbert.core.artifact import write_json
from stackbert.rehearsal.published import Form, Published
from tokenizer.files.token_notation import BYTE_LEVEL_SPACE, CONTINUATION_PREFIX, SPECIALS
from tokenizer.vocabulary.pretokenizer import build_pretokenizer

WORDS = 300
"""Words that are one token."""
PIECES = 400
"""Pieces of SentencePiece; fewer where the texts give no more."""
LAST_SPECIALS = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
"""ModernBERT's special tokens, in the order of their ids."""
LATIN = "".join(map(chr, [*range(0x21, 0x7F), *range(0xC0, 0x100)]))
"""Characters that every vocabulary has, whatever the texts."""


def write_vocabulary(layout: Published, texts: Sequence[str], folder: Path) -> dict[str, int]:
    """Write a tokenizer's files in the form of `layout` to `folder`; returns fields of `config.json` that fit it.

    These are the rows that its word table needs, and the id of padding.
    """
    writers: dict[Form, Callable[[Published, Sequence[str], Path], int]] = {
        "wordpiece": _write_wordpiece,
        "byte-level": _write_byte_level,
        "byte-level json": _write_byte_level_json,
        "sentencepiece": _write_sentencepiece,
    }
    rows = writers[layout.form](layout, texts, folder)
    if layout.form == "byte-level json":  # special tokens come last
        return {"vocab_size": rows, "pad_token_id": rows - len(LAST_SPECIALS) + LAST_SPECIALS.index("[PAD]")}
    return {"vocab_size": rows, "pad_token_id": layout.pad_token_id}


def _write_wordpiece(layout: Published, texts: Sequence[str], folder: Path) -> int:
    """BERT's vocab.txt: [PAD], unused tokens, the other special tokens, characters, words."""
    words = _frequent_words(texts, lowercase=not layout.cased)
    characters = sorted({*LATIN, *"".join(words)})
    characters = characters if layout.cased else sorted({*"".join(characters).lower()})
    unused = [f"[unused{number}]" for number in range(layout.first_special - 1)]
    tokens = [SPECIALS[0], *unused, *SPECIALS[1:], *characters]
    tokens += [*(CONTINUATION_PREFIX + character for character in characters), *words]
    tokens = list(dict.fromkeys(tokens))
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), "utf-8")
    if layout.says_case or layout.cased:  # where it is cased and does not say so, its conversion does
        write_json(folder / "tokenizer_config.json", {"do_lower_case": not layout.cased, "model_max_length": 512})
    return len(tokens)


def _write_byte_level(layout: Published, texts: Sequence[str], folder: Path) -> int:
    """RoBERTa's vocab.json and merges.txt."""
    pieces, merges = _byte_level_pieces(texts)
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *pieces, "<mask>"]
    (folder / "vocab.json").write_text(json.dumps(_numbered(tokens), ensure_ascii=False), "utf-8")
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return len(tokens)


def _write_byte_level_json(layout: Published, texts: Sequence[str], folder: Path) -> int:
    """ModernBERT's tokenizer.json, whose special tokens are BERT's, and the names of their roles."""
    pieces, merges = _byte_level_pieces(texts)
    tokenizer = Tokenizer(models.BPE(_numbered(pieces), merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(LAST_SPECIALS))
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = {f"{token.strip('[]').lower()}_token": token for token in LAST_SPECIALS}
    write_json(folder / "tokenizer_config.json", roles | {"tokenizer_class": "PreTrainedTokenizerFast"})
    return len(pieces) + len(LAST_SPECIALS)


def _byte_level_pieces(texts: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Bytes and pieces of frequent words, and the merges that join a word's characters from the left."""
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)
    merges: dict[tuple[str, str], None] = {}
    for word in _frequent_words(texts, lowercase=False):
        [(spelled, _)] = bytes_of.pre_tokenize_str(word)
        assert spelled.startswith(BYTE_LEVEL_SPACE)
        merges |= dict.fromkeys((spelled[:end], spelled[end]) for end in range(1, len(spelled)))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return [*alphabet, *(left + right for left, right in merges)], list(merges)


def _numbered(tokens: Sequence[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}


def _write_sentencepiece(layout: Published, texts: Sequence[str], folder: Path) -> int:
    """CamemBERT's sentencepiece.bpe.model."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*texts, " ".join(LATIN)]),
        model_writer=model,
        model_type="unigram",
        vocab_size=PIECES,
        hard_vocab_limit=False,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    (folder / "sentencepiece.bpe.model").write_bytes(model.getvalue())
    pieces: int = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).get_piece_size()
    return pieces + 5  # transformers puts four special tokens before the pieces, and one after them


def _frequent_words(texts: Sequence[str], lowercase: bool) -> list[str]:
    """The most frequent words, ties in the order of the alphabet."""
    split = build_pretokenizer([])
    counts = Counter(word for text in texts for word, _ in split.pre_tokenize_str(text.lower() if lowercase else text))
    return sorted(counts, key=lambda word: (-counts[word], word))[:WORDS]
