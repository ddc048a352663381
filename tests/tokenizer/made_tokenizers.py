"""Small tokenizers in each form in which they are published, made from text written here, and texts to try them on."""

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests.pretrain.tiny import CONFIGS, POSITIONS
from tests.tokenizer.made_corpus import SENTENCES
from tokenizer.vocabulary.wordpiece import build_wordpiece

TEXTS = [
    *SENTENCES,
    "Why IS the caf\u00e9 na\u00efve? don't (print) user_id 3.5.1;",
    "sort the rows of a table with numpy",
]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BERT_ROLES = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIALS, strict=True))


def write_files(folder: Path, files: dict[str, Any]) -> Path:
    """Write text as it is, and anything else as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return folder


def config(family: str, vocab_size: int) -> dict[str, Any]:
    """A config.json of the family."""
    return CONFIGS[family] | {"vocab_size": vocab_size, "max_position_embeddings": POSITIONS}


def wordpiece_tokens(cased: bool = False) -> list[str]:
    """BERT's special tokens, every character of TEXTS alone and as a continuation, and their words."""
    texts = TEXTS if cased else [text.lower() for text in TEXTS]
    letters = sorted(set("".join(texts)) - {" "}) + list("abcdefghijklmnopqrstuvwxyz0123456789")
    words = [word for text in texts for word in text.split() if word.isalpha()]
    listed = [*SPECIALS, *letters, *(f"##{letter}" for letter in letters), *words, "##ing", "##ed", "##s"]
    return list(dict.fromkeys(listed))


def lines(tokens: list[str], end: str = "\n") -> str:
    """The content of a vocab.txt."""
    return "".join(token + end for token in tokens)


def wordpiece(folder: Path, family: str = "bert", cased: bool = False, **files: Any) -> Path:
    """BERT's vocab.txt beside config.json, and `files`."""
    tokens = wordpiece_tokens(cased)
    return write_files(folder, {"config.json": config(family, len(tokens)), "vocab.txt": lines(tokens), **files})


def cased_wordpiece(folder: Path) -> Path:
    """A cased vocabulary, as tokenizer_config.json says."""
    return wordpiece(folder, cased=True, **{"tokenizer_config.json": {"do_lower_case": False}})


def fast_wordpiece(tokens: list[str], lowercase: bool = True) -> Tokenizer:
    """BERT's tokenizer in the tokenizers library."""
    tokenizer = Tokenizer(build_wordpiece({token: number for number, token in enumerate(tokens)}))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, tokens.index(name)) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer


def wordpiece_json(folder: Path) -> Path:
    """tokenizer.json beside config.json, with the class of BERT."""
    tokens = wordpiece_tokens()
    settings = {"tokenizer_class": "BertTokenizerFast", "do_lower_case": True, "model_max_length": 18} | BERT_ROLES
    files = {"config.json": config("bert", len(tokens)), "tokenizer_config.json": settings}
    return write_files(folder, files | {"tokenizer.json": fast_wordpiece(tokens).to_str()})


def normalizer_sequence(folder: Path, steps: list[normalizers.Normalizer] | None = None) -> Path:
    """A tokenizer of the general class with several normalizers, and a pre-tokenizer that is not BERT's."""
    tokens = wordpiece_tokens()
    tokenizer = fast_wordpiece(tokens)
    tokenizer.normalizer = normalizers.Sequence(
        steps
        or [normalizers.NFKC(), normalizers.Lowercase(), normalizers.StripAccents(), normalizers.Replace("\u2019", "'")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 18} | BERT_ROLES
    files = {"config.json": config("bert", len(tokens)), "tokenizer_config.json": settings}
    return write_files(folder, files | {"tokenizer.json": tokenizer.to_str()})


def added_tokens(folder: Path) -> Path:
    """Tokens that were added after the vocabulary, listed in added_tokens.json as older versions wrote it."""
    size = len(wordpiece_tokens())
    added = {"machine learning": size, "tls-handshake": size + 1, "DataFrame": size + 2}
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 18}
    files = {"config.json": config("bert", size + 4), "added_tokens.json": added, "tokenizer_config.json": settings}
    return wordpiece(folder, **files)


def added_tokens_in_settings(folder: Path) -> Path:
    """Tokens that were added after the vocabulary, listed in tokenizer_config.json as newer versions write it."""
    size = len(wordpiece_tokens())
    flags = {"lstrip": False, "rstrip": False, "single_word": False}
    added = {
        str(size): {"content": "machine learning", "normalized": True, "special": False} | flags,
        str(size + 1): {"content": "<code>", "normalized": False, "special": True} | flags,
    }
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "added_tokens_decoder": added}
    return wordpiece(folder, **{"config.json": config("bert", size + 2), "tokenizer_config.json": settings})


def trained_bpe(specials: list[str]) -> Tokenizer:
    """A byte-level byte-pair encoding."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def byte_level(folder: Path) -> Path:
    """RoBERTa's vocab.json and merges.txt."""
    model = json.loads(trained_bpe(ROBERTA_SPECIALS).to_str())["model"]
    merges = "#version: 0.2\n" + lines([" ".join(pair) for pair in model["merges"]])
    files = {"config.json": config("roberta", len(model["vocab"])), "vocab.json": model["vocab"], "merges.txt": merges}
    return write_files(folder, files)


def byte_level_json(folder: Path) -> Path:
    """RoBERTa's tokenizer as tokenizer.json alone."""
    tokenizer = trained_bpe(ROBERTA_SPECIALS)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    files = {"config.json": config("roberta", tokenizer.get_vocab_size()), "tokenizer.json": tokenizer.to_str()}
    return write_files(folder, files)


def modernbert(folder: Path) -> Path:
    """ModernBERT's byte-level tokenizer.json, whose special tokens are BERT's and follow the vocabulary."""
    tokenizer = trained_bpe([])
    tokenizer.add_special_tokens([*SPECIALS[1:], SPECIALS[0]])
    first, last = (tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", first), ("[SEP]", last)]
    )
    ids = {f"{role}_token_id": tokenizer.token_to_id(f"[{role.upper()}]") for role in ("pad", "cls", "sep")}
    ids |= {"bos_token_id": first, "eos_token_id": last}
    files = {
        "config.json": config("modernbert", tokenizer.get_vocab_size() + 10) | ids,  # with rows to spare, as published
        "tokenizer.json": tokenizer.to_str(),
        "tokenizer_config.json": BERT_ROLES | {"tokenizer_class": "PreTrainedTokenizerFast"},
    }
    return write_files(folder, files)


def sentencepiece_model(folder: Path, **settings: Any) -> bytes:
    """A unigram model trained on TEXTS."""
    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 20),
        model_prefix=str(folder / "trained"),
        model_type="unigram",
        vocab_size=120,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
        **settings,
    )
    (folder / "trained.vocab").unlink()
    content = (folder / "trained.model").read_bytes()
    (folder / "trained.model").unlink()
    return content


def camembert(folder: Path) -> Path:
    """CamemBERT's sentencepiece.bpe.model alone: transformers puts four tokens before its pieces and one after."""
    model = sentencepiece_model(folder)
    size = sentencepiece.SentencePieceProcessor(model_proto=model).get_piece_size() + 5
    return write_files(folder, {"config.json": config("camembert", size), "sentencepiece.bpe.model": model})


def xlm_roberta(folder: Path) -> Path:
    """XLM-R's sentencepiece.bpe.model alone: its three control pieces become four tokens, and one comes at the end."""
    model = sentencepiece_model(folder)
    size = sentencepiece.SentencePieceProcessor(model_proto=model).get_piece_size() + 2
    return write_files(folder, {"config.json": config("xlm-roberta", size), "sentencepiece.bpe.model": model})


def multilingual_minilm(folder: Path) -> Path:
    """A BERT with XLM-R's sentencepiece.bpe.model, as multilingual MiniLMs are published."""
    model = sentencepiece_model(folder)
    size = sentencepiece.SentencePieceProcessor(model_proto=model).get_piece_size() + 2
    settings = {"tokenizer_class": "XLMRobertaTokenizer"}
    files = {"config.json": config("bert", size), "tokenizer_config.json": settings}
    return write_files(folder, files | {"sentencepiece.bpe.model": model})


def albert(folder: Path) -> Path:
    """A BERT with ALBERT's spiece.model."""
    names = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "pad_piece": "<pad>"}
    model = sentencepiece_model(folder, user_defined_symbols=["[CLS]", "[SEP]", "[MASK]"], **names)
    size = sentencepiece.SentencePieceProcessor(model_proto=model).get_piece_size()
    settings = {"tokenizer_class": "AlbertTokenizer"}
    files = {"config.json": config("bert", size), "tokenizer_config.json": settings}
    return write_files(folder, files | {"spiece.model": model})


def repeated_lines(folder: Path) -> Path:
    """A vocab.txt in which two lines stand a second time and some are blank, so that ids have holes."""
    tokens = wordpiece_tokens()
    tokens = [*tokens[:20], tokens[10], "", *tokens[20:], tokens[30], " "]
    return wordpiece(folder, **{"config.json": config("bert", len(tokens)), "vocab.txt": lines(tokens)})


def padded_table(folder: Path) -> Path:
    """A word table that is rounded up to a multiple of 64."""
    size = len(wordpiece_tokens())
    return wordpiece(folder, **{"config.json": config("bert", -(-size // 64) * 64)})


def distilbert(folder: Path) -> Path:
    """DistilBERT's vocab.txt with the line ends of Windows."""
    return wordpiece(folder, "distilbert", **{"vocab.txt": lines(wordpiece_tokens(), "\r\n").encode()})


def electra(folder: Path) -> Path:
    """ELECTRA's vocab.txt, which is BERT's."""
    return wordpiece(folder, "electra")


def mpnet(folder: Path) -> Path:
    """MPNet's vocab.txt: special tokens of RoBERTa around BERT's vocabulary, of which the unknown one is used."""
    tokens = [*ROBERTA_SPECIALS[:4], *wordpiece_tokens(), ROBERTA_SPECIALS[4]]
    return write_files(folder, {"config.json": config("mpnet", len(tokens)), "vocab.txt": lines(tokens)})


FORMS: dict[str, Callable[[Path], Path]] = {
    each.__name__: each
    for each in (
        wordpiece,
        cased_wordpiece,
        wordpiece_json,
        normalizer_sequence,
        added_tokens,
        added_tokens_in_settings,
        repeated_lines,
        padded_table,
        distilbert,
        byte_level,
        byte_level_json,
        modernbert,
        camembert,
        xlm_roberta,
        multilingual_minilm,
        electra,
        mpnet,
        albert,
    )
}
"""Each form in which a tokenizer that can be used is published."""

ODD = [
    *("\x00", "\t", "\n", "\r\n", "\u00a0", "\u2028", "\u3000", "\u200b", "\u200d", "\ufeff", "\u202e", "\u00ad"),
    *("e\u0301", "\u0301", "\u0130", "\ufb01", "\u212b", "\uff21", "\u039f\u0394\u039f\u03a3", "stra\u00dfe"),
    *("\u6f22\u5b57", "\u3072\u3089", "\ud55c\uae00", "\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d\u0628\u0627"),
    *("\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1eb\U0001f1f7", "\U00020000"),
    *("[SEP]", "[CLS]", "[MASK]", "[PAD]", "[UNK]", "<s>", "</s>", "<mask>", "<pad>", "<unk>", "<code>", "\u2581"),
    *("machine learning", "machine", "tls-handshake", "DataFrame", "dataframe", "asyncio", "w" * 150, "\u0120a", "##s"),
    *("Why", "don't", "user_id", "3.5.1", "c++", "();", "C:\\a\\b", "https://a.b/c?d=e&f", " ", "  ", "the", "NumPy"),
]


def random_texts(seed: int, number: int = 1_000) -> list[str]:
    """Texts of odd pieces, of words, and of any characters of Unicode but surrogates."""
    draw = random.Random(seed)
    words = " ".join(TEXTS).split()
    planes = (0x80, 0x800, 0xD800, 0x10000, sys.maxunicode + 1)

    def piece() -> str:
        kind = draw.randrange(4)
        if kind == 0:
            character = chr(draw.randrange(draw.choice(planes)))
            return " " if "\ud800" <= character <= "\udfff" else character
        return draw.choice(ODD if kind == 1 else words) + draw.choice(("", " "))

    return ["".join(piece() for _ in range(draw.randrange(30))) for _ in range(number)]
