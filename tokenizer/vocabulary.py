"""WordPiece vocabularies: trained from word counts, and the Hugging Face files that hold them.

The pieces come from SentencePiece's byte-pair-encoding trainer run on the counts (one thread, no sampling), whose
output is the same bytes at each run; they are then written as WordPiece, which reads greedily, longest piece first
(Schuster and Nakajima 2012; Devlin et al. 2019, section 3).
"""

import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, decoders, models, processors

from corpora.artifact import Manifest, build_artifact, write_json
from corpora.errors import StackbertError
from corpora.post import pretraining_posts, read_posts
from tokenizer.config import TokenizerConfig
from tokenizer.lexicon import build_lexicon
from tokenizer.pretokenizer import build_normalizer, build_pretokenizer
from tokenizer.words import WordCounts, count_chunks, count_words

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # position is the id
CONTINUATION = "##"
WORD_START = "\u2581"  # SentencePiece's mark on a piece that begins a word
LONGEST_WORD = 100  # characters; WordPiece's own limit, longer words become [UNK]


def train_tokenizer(posts: Path, out: Path, config: TokenizerConfig) -> Manifest:
    """Train a vocabulary on the posts of `posts` (a corpus or a labelled set) and write `tokenizer.json` and kin.

    Raises StackbertError where the text is too small for the vocabulary's alphabet.
    """
    folder = pretraining_posts(posts)
    return build_artifact(
        out, "tokenizer train", config, {"posts": posts}, lambda staging: _train(folder, staging, config)
    )


def build_vocabulary(words: WordCounts, lexicon: Iterable[str], config: TokenizerConfig) -> list[str]:
    """The tokens, position = id: specials, alphabet, lexicon, then learned pieces in the order they were learned."""
    characters: Counter[str] = Counter()
    continuing: set[str] = set()
    for word, count in words.items():
        for character in word:
            characters[character] += count
        continuing.update(word[1:])
    alphabet = sorted(sorted(characters, key=lambda c: (-characters[c], c))[: config.alphabet_size])
    inner = [CONTINUATION + character for character in alphabet if character in continuing]
    tokens = dict.fromkeys([*SPECIALS, *alphabet, *inner])
    if len(tokens) >= config.vocab_size:
        raise StackbertError(
            f"vocab_size {config.vocab_size} is taken up by {len(tokens)} specials and single characters; raise it, or "
            f"lower alphabet_size (now {config.alphabet_size})"
        )
    terms = [term for term in lexicon if words.get(term, 0) >= config.min_count]
    tokens |= dict.fromkeys(terms)
    whole, known = set(terms), set(alphabet)
    # a word with a character outside the alphabet is read as [UNK], so there is nothing to learn from it
    counted = {
        word: n for word, n in words.items() if n >= config.min_count and word not in whole and known.issuperset(word)
    }
    tokens |= dict.fromkeys(_learn_pieces(counted, config.vocab_size))
    return list(tokens)[: config.vocab_size]


def build_tokenizer(tokens: list[str], terms: Iterable[str], lowercase: bool) -> Tokenizer:
    """The tokenizer that reads with `tokens` and adds [CLS] and [SEP]."""
    ids = {token: number for number, token in enumerate(tokens)}
    model = models.WordPiece(
        vocab=ids, unk_token="[UNK]", continuing_subword_prefix=CONTINUATION, max_input_chars_per_word=LONGEST_WORD
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = build_normalizer(lowercase)
    tokenizer.pre_tokenizer = build_pretokenizer(terms)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    tokenizer.decoder = decoders.WordPiece(prefix=CONTINUATION)
    tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, lowercase: bool) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and `vocab.txt`, which `transformers.AutoTokenizer` reads."""
    tokenizer.save(str(folder / "tokenizer.json"))
    vocabulary = tokenizer.get_vocab()
    (folder / "vocab.txt").write_text(
        "".join(f"{t}\n" for t in sorted(vocabulary, key=vocabulary.__getitem__)), "utf-8"
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    settings = {
        # the general class: BertTokenizer would rebuild BERT's own splitting and lose ours
        "tokenizer_class": "PreTrainedTokenizerFast",
        "do_lower_case": lowercase,
        "model_max_length": 512,
        "model_input_names": ["input_ids", "attention_mask"],  # RoBERTa and DistilBERT take no token types
        **dict(zip(names, SPECIALS, strict=True)),
    }
    write_json(folder / "tokenizer_config.json", settings)


def _train(posts: Path, folder: Path, config: TokenizerConfig) -> dict[str, int]:
    tags: Counter[str] = Counter()

    def texts() -> Iterable[str]:
        for post in read_posts(posts):
            tags.update(post.tags)
            yield post.whole_text

    chunks = count_chunks(texts())
    normalizer = build_normalizer(config.lowercase)
    lexicon = list(dict.fromkeys(normalizer.normalize_str(term) for term in build_lexicon(tags, config)))
    found = count_words(chunks, normalizer, build_pretokenizer(lexicon))
    present = [term for term in lexicon if found.get(term, 0) >= config.min_count]
    # counted again as the vocabulary will be used: a term that is too rare for a token of its own has no rule either
    words = count_words(chunks, normalizer, build_pretokenizer(present))
    tokens = build_vocabulary(words, present, config)
    save_tokenizer(build_tokenizer(tokens, present, config.lowercase), folder, config.lowercase)
    print(f"vocabulary of {len(tokens):,} tokens from {len(words):,} distinct words, {len(present):,} lexicon terms")
    return {
        "tokens": len(tokens),
        "distinct_words": len(words),
        "running_words": sum(words.values()),
        "lexicon_terms": len(present),
    }


def _learn_pieces(words: WordCounts, size: int) -> list[str]:
    """At most `size` pieces in WordPiece notation, in the order the trainer found them."""
    # a tab ends the word in the trainer's table, and its own mark cannot stand inside a word
    rows = (f"{word}\t{count}" for word, count in words.items() if not {"\t", WORD_START} & set(word))
    sentences = list(rows)
    if not sentences:
        return []
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=trained,
        model_type="bpe",
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
    pieces = (model.id_to_piece(number) for number in range(model.get_piece_size()) if not model.is_unknown(number))
    return [_wordpiece(piece) for piece in pieces if piece != WORD_START]


def _wordpiece(piece: str) -> str:
    return piece[1:] if piece.startswith(WORD_START) else CONTINUATION + piece
