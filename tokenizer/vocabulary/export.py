"""Builds tokenizers from vocabularies and saves them as Hugging Face files."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, processors

from stackbert.core.artifact import write_json
from tokenizer.files.token_notation import CONTINUATION_PREFIX, SPECIALS
from tokenizer.files.tokenizer_checks import ROLES
from tokenizer.vocabulary.base_steps import OUR_STEPS, BaseSteps
from tokenizer.vocabulary.wordpiece import build_wordpiece

CLS, SEP = SPECIALS[2:4]


def build_tokenizer(
    tokens: list[str], terms: Iterable[str], lowercase: bool, steps: BaseSteps = OUR_STEPS
) -> Tokenizer:
    """The WordPiece tokenizer with `tokens` that never splits `terms` and adds [CLS] and [SEP].

    The position of a token is its id; an id without a token has an empty one.
    """
    tokenizer = Tokenizer(build_wordpiece({token: number for number, token in enumerate(tokens) if token}))
    tokenizer.pre_tokenizer = steps.build_pretokenizer(tuple(terms))
    tokenizer.decoder = decoders.WordPiece(prefix=CONTINUATION_PREFIX)
    return add_normalizer_and_template(tokenizer, lowercase, steps)


def add_normalizer_and_template(tokenizer: Tokenizer, lowercase: bool, steps: BaseSteps) -> Tokenizer:
    """Set the normalizer, and the template that puts [CLS] and [SEP] around a text; returns `tokenizer`."""
    tokenizer.normalizer = steps.build_normalizer(lowercase)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (CLS, SEP)],
    )
    tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, lowercase: bool, max_length: int = 512) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and, for WordPiece, `vocab.txt`, for `AutoTokenizer`.

    Lines of `vocab.txt` are ids: a vocabulary with ids that no token has, or with tokens that are no line, has none.
    """
    tokenizer.save(str(folder / "tokenizer.json"))
    if isinstance(tokenizer.model, models.WordPiece):
        vocabulary = tokenizer.get_vocab()
        tokens = sorted(vocabulary, key=vocabulary.__getitem__)
        text = "".join(f"{token}\n" for token in tokens)
        if max(vocabulary.values()) + 1 == len(tokens) == text.count("\n"):
            (folder / "vocab.txt").write_text(text, "utf-8")
    settings = {
        # the general class: BertTokenizer would replace our pre-tokenizer by BERT's
        "tokenizer_class": "PreTrainedTokenizerFast",
        "do_lower_case": lowercase,
        "model_max_length": max_length,
        "model_input_names": ["input_ids", "attention_mask"],  # RoBERTa and DistilBERT have no token types
        **{f"{role}_token": token for role, token in zip(ROLES, SPECIALS, strict=True)},
    }
    write_json(folder / "tokenizer_config.json", settings)
