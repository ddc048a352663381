"""The steps of a base's tokenizer that an extension keeps as they are: from text to words, and around the ids."""

import json
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from stackbert.core.errors import StackbertError
from tokenizer.vocabulary.pretokenizer import build_normalizer, build_pretokenizer, split_script_runs

CHUNK_SAMPLE = (
    "Why IS this Loop so SLOW?\tfor (i = 0; i < n; ++i)\n caf\u00e9 na\u00efve \ufb01 \u212b user_id c++ don't 3.14"
)
"""A text whose words must be those of its chunks, since words are counted chunk by chunk."""


@dataclass(frozen=True)
class BaseSteps:
    """A base's own normalizer and pre-tokenizer, as in `tokenizer.json`; None where ours equals or replaces it.

    Ours replaces BERT's pre-tokenizer, so that terms such as c++ stay whole; of any other kind a vocabulary keeps what
    it was made for. It holds JSON only, because it is sent to other processes.
    """

    normalizer: str | None = None
    pre_tokenizer: str | None = None
    keeps_accents: bool = False
    """Whether our normalizer keeps accents where it folds case."""
    splits_runs: bool = False
    """Whether our pre-tokenizer splits runs of Japanese syllables, Hangul and Thai from what stands beside them."""

    @property
    def are_ours(self) -> bool:
        return self.normalizer is None and self.pre_tokenizer is None

    def build_normalizer(self, lowercase: bool) -> normalizers.Normalizer | None:
        """The base's normalizer, which may be none, or ours."""
        if self.normalizer is None:
            return build_normalizer(lowercase, self.keeps_accents)
        normalizer: normalizers.Normalizer | None = _holder(normalizer=self.normalizer).normalizer
        return normalizer

    def build_pretokenizer(self, terms: tuple[str, ...]) -> pre_tokenizers.PreTokenizer:
        """The base's pre-tokenizer, or ours, which never splits `terms`."""
        if self.pre_tokenizer is None:
            return build_pretokenizer(terms, self.splits_runs)
        splitter: pre_tokenizers.PreTokenizer = _holder(pre_tokenizer=self.pre_tokenizer).pre_tokenizer
        return splitter

    def keep_whole(self, terms: list[str]) -> list[str]:
        """Those of the normalized `terms` that are one word to the pre-tokenizer."""
        if self.pre_tokenizer is None and not self.splits_runs:
            return terms
        split = (self.build_pretokenizer(()) if self.pre_tokenizer else split_script_runs()).pre_tokenize_str
        return [term for term in terms if [word for word, _ in split(term)] == [term]]


OUR_STEPS = BaseSteps()


def steps_of(components: dict[str, Any], folder: object) -> BaseSteps:
    """The steps of the tokenizer with these components (from tokenizer.json).

    Raises StackbertError for one that does not read each chunk of a text alike, as SentencePiece's and GPT's do not.
    """
    normalizer, splitter = components["normalizer"], components["pre_tokenizer"]
    if splitter is None:
        raise StackbertError(
            f"{folder}: its tokenizer has no pre-tokenizer, so a text is one word; only a base that splits text at "
            "white space can be extended. Train a new vocabulary instead: do not set extend"
        )
    steps = BaseSteps(
        None if is_bert_normalizer(normalizer) else json.dumps(normalizer),
        None if splitter == {"type": "BertPreTokenizer"} else json.dumps(splitter),
    )
    if not steps.are_ours:
        _check_chunks(steps, folder)
    return steps


def is_bert_normalizer(normalizer: dict[str, Any] | None) -> bool:
    """Whether it is BERT's with the settings of `build_normalizer`, which strips accents where it folds case."""
    found = normalizer or {}
    return (
        found.get("type") == "BertNormalizer"
        and found["clean_text"]
        and found["handle_chinese_chars"]
        and found["strip_accents"] in (None, found["lowercase"])
    )


def _check_chunks(steps: BaseSteps, folder: object) -> None:
    normalizer, splitter = steps.build_normalizer(lowercase=False), steps.build_pretokenizer(())

    def words(text: str) -> list[str]:
        normalized = normalizer.normalize_str(text) if normalizer else text
        return [word for word, _ in splitter.pre_tokenize_str(normalized)]

    if words(CHUNK_SAMPLE) != [word for chunk in CHUNK_SAMPLE.split() for word in words(chunk)]:
        kinds = ", ".join(json.loads(each)["type"] for each in (steps.normalizer, steps.pre_tokenizer) if each)
        raise StackbertError(
            f"{folder}: only a base that reads each word alike, wherever it stands, can be extended; this one has "
            f"{kinds}. Train a new vocabulary instead: do not set extend"
        )


def _holder(**steps: str) -> Tokenizer:
    """A tokenizer without a vocabulary that has these steps."""
    components = json.loads(Tokenizer(models.WordPiece({"": 0}, unk_token="")).to_str())
    return Tokenizer.from_str(json.dumps(components | {name: json.loads(step) for name, step in steps.items()}))
