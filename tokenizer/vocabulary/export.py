"""The Hugging Face files that hold a vocabulary."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, processors

from stackbert.core.artifact import write_json
from tokenizer.vocabulary.pretokenizer import build_normalizer, build_pretokenizer
from tokenizer.vocabulary.pruning import CONTINUATION, LONGEST_WORD, UNKNOWN

SPECIALS = ("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]")  # position is the id, but where a base has others


def build_tokenizer(tokens: list[str], terms: Iterable[str], lowercase: bool) -> Tokenizer:
    """The WordPiece tokenizer that reads with `tokens` (position = id), keeps `terms` whole, adds [CLS] and [SEP]."""
    ids = {token: number for number, token in enumerate(tokens)}
    model = models.WordPiece(
        vocab=ids, unk_token=UNKNOWN, continuing_subword_prefix=CONTINUATION, max_input_chars_per_word=LONGEST_WORD
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = build_pretokenizer(terms)
    tokenizer.decoder = decoders.WordPiece(prefix=CONTINUATION)
    return with_frame(tokenizer, lowercase)


def with_frame(tokenizer: Tokenizer, lowercase: bool) -> Tokenizer:
    """`tokenizer` with our normalizer, and [CLS] and [SEP] around what it reads."""
    tokenizer.normalizer = build_normalizer(lowercase)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, lowercase: bool) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and, for WordPiece, `vocab.txt`; `AutoTokenizer` reads them."""
    tokenizer.save(str(folder / "tokenizer.json"))
    if isinstance(tokenizer.model, models.WordPiece):
        vocabulary = tokenizer.get_vocab()
        tokens = sorted(vocabulary, key=vocabulary.__getitem__)
        (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), "utf-8")
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
