"""Checks of a loaded tokenizer against its files.

Where files are missing, transformers makes a tokenizer of special tokens alone, without an error. Each fault is refused
with the file, where there is one the line, and what to do.
"""

# I ids of all texts

import json
import re
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from stackbert.core.checkpoints import TOKENIZER_FILES, VOCABULARY_FILES, read_json_object
from stackbert.core.errors import StackbertError, require
from stackbert.core.families.table import FAMILIES
from tokenizer.files.settings_checks import BYTE_ORDER_MARK, check_settings
from tokenizer.files.token_notation import BYTE_LEVEL_SPACE

ROLES = ("pad", "unk", "cls", "sep", "mask")  # in the order of SPECIALS
LFS_POINTER = b"version https://git-lfs"
PLACEHOLDER = re.compile(r"\[unused\d+\]|.*NOTUSED|\s*")
ORDINARY_TEXTS = (
    "How do I sort the rows of a table by two columns?",
    "The quick brown fox jumps over the lazy dog; it was 24 degrees.",
    "Why IS this Loop so SLOW: for (int i = 0; i < n; ++i) { sum += a[i]; }",
    "caf\u00e9 na\u00efve \u00c9T\u00c9 stra\u00dfe \u010desk\u00fd, don't",
    "\u042d\u0442\u043e \u0442\u0435\u043a\u0441\u0442; \u03ba\u03b1\u03b9 \u03b1\u03c5\u03c4\u03cc",
    "\u4e2d\u6587\u5206\u8bcd",
)
"""Texts that each reading of a vocabulary must split alike: case, accents, punctuation, digits and other scripts."""
SAMPLED_WORDS = 200  # of the vocabulary's own
MOST_UNKNOWN = 0.5  # share of a sample's tokens; real tokenizers are below 0.05 even on other languages
MOST_IDS = 10_000_000  # the largest vocabularies have a million tokens
LEAST_SHARE = 0.9  # of the word table's rows; published tables that are not rounded up exceed their vocabulary by 0.1 %
MOST_SPARE_ROWS = 64  # of small tables that are not rounded up
PADDED_TO = tuple(2**power for power in range(3, 11))  # multiples that word tables are rounded up to, for speed


def found_files(folder: Path) -> list[str]:
    """The names of the tokenizer's files in `folder`."""
    return [name for name in TOKENIZER_FILES if (folder / name).is_file()]


def check_files(folder: Path) -> None:
    """Raise StackbertError where `folder` has no vocabulary, or it cannot be read as text."""
    if not folder.is_dir():
        raise StackbertError(f"{folder}: no such folder; name the folder of a tokenizer or checkpoint")
    if not any((folder / name).is_file() for name in VOCABULARY_FILES):
        raise StackbertError(
            f"{folder}: holds no tokenizer; looked for {', '.join(VOCABULARY_FILES)}: copy them from where the "
            "checkpoint was published, or from the folder of the tokenizer that it was trained with"
        )
    for path in (folder / name for name in found_files(folder)):
        with path.open("rb") as file:
            start = file.read(len(LFS_POINTER))
        require(
            bool(start) or path.name not in VOCABULARY_FILES,
            f"{path}: its tokenizer cannot be loaded: the file is empty; copy it again",
        )
        require(
            start != LFS_POINTER,
            f"{path}: is a pointer of Git LFS instead of the file; run 'git lfs pull' where it was cloned",
        )
        if path.suffix == ".json":
            check_settings(path)
    _check_vocab_txt(folder / "vocab.txt")


def _check_vocab_txt(path: Path) -> None:
    content = path.read_bytes() if path.is_file() else b""
    require(
        not content.startswith(BYTE_ORDER_MARK),
        f"{path}:1: begins with a byte order mark, which would be part of the first token; save the file without it",
    )
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StackbertError(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None


def check_loaded(loaded: Any, folder: Path) -> None:
    """Raise StackbertError where the loaded tokenizer is not the one that the files of `folder` describe."""
    names = [name for name in loaded.vocab_files_names.values() if name in VOCABULARY_FILES]
    if not any((folder / name).is_file() for name in names):
        held = ", ".join(name for name in found_files(folder) if name in VOCABULARY_FILES)
        raise StackbertError(
            f"{folder}: its {type(loaded).__name__} reads {' or '.join(names)}, but the folder holds {held}; set "
            "tokenizer_class in tokenizer_config.json to the class that reads it, or add the file"
        )
    components = json.loads(loaded.backend_tokenizer.to_str())
    require(
        not components["model"].get("dropout"),
        f"{folder}: its byte-pair encoding has dropout, so the same text gets other ids each time; set dropout to "
        "null in tokenizer.json",
    )
    vocabulary: dict[str, int] = loaded.backend_tokenizer.get_vocab()
    _check_special_tokens(loaded, components, folder)
    _check_ids(vocabulary, folder)
    ordinary = [token for token in vocabulary if token not in loaded.all_special_tokens]
    if not any(PLACEHOLDER.fullmatch(token) is None for token in ordinary):
        files = ", ".join(found_files(folder))
        raise StackbertError(
            f"{folder}: its tokenizer has special tokens only ({', '.join(sorted(vocabulary)[:8])}), so every text "
            f"would be unknown; {files} did not arrive whole: copy them again"
        )
    _check_word_table(loaded, vocabulary, folder)
    _check_padding(loaded, folder)
    _check_agreement(loaded, folder)
    _check_reading(loaded, vocabulary, folder)
    _tell_moved_tokens(folder.absolute(), tuple(moved_tokens(loaded, folder)))


def _check_special_tokens(loaded: Any, components: dict[str, Any], folder: Path) -> None:
    """Each role has a token, and the files hold it: transformers would append it to the vocabulary."""
    ids = {role: getattr(loaded, f"{role}_token_id") for role in ROLES}
    missing = [role for role, number in ids.items() if number is None]
    require(
        not missing, f"{folder}: the tokenizer names no {', '.join(missing)} token; add it to tokenizer_config.json"
    )
    held = set(_model_tokens(components["model"])) | {token for token, _ in _declared_tokens(folder)}
    absent = [str(name) for role in ROLES if (name := getattr(loaded, f"{role}_token")) not in held]
    require(
        not absent,
        f"{folder}: its vocabulary lacks the special {'tokens' if len(absent) > 1 else 'token'} "
        f"{', '.join(dict.fromkeys(absent))}; looked in {', '.join(found_files(folder))}: name the tokens that it has "
        "in tokenizer_config.json, or use the files that the checkpoint was published with",
    )


def _model_tokens(model: dict[str, Any]) -> Iterable[str]:
    """The tokens of a model's vocabulary: a dictionary, or Unigram's list of pairs."""
    return (pair[0] if isinstance(pair, list) else pair for pair in model["vocab"])


def _declared_tokens(folder: Path) -> Iterator[tuple[str, int]]:
    """Added tokens that the files list beside the vocabulary, with the ids that they name."""
    for token in _object(folder / "tokenizer.json").get("added_tokens", []):
        yield token["content"], token["id"]
    yield from ((token, int(number)) for token, number in _object(folder / "added_tokens.json").items())
    for number, token in _object(folder / "tokenizer_config.json").get("added_tokens_decoder", {}).items():
        yield token["content"] if isinstance(token, dict) else str(token), int(number)


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, empty where there is no such file."""
    return read_json_object(path) if path.is_file() else {}


def _check_ids(vocabulary: dict[str, int], folder: Path) -> None:
    """No id belongs to two tokens, as where a repeated line leaves fewer tokens than ids and one is added after it."""
    tokens: dict[int, str] = {}
    for token, number in vocabulary.items():
        if tokens.setdefault(number, token) != token:
            raise StackbertError(
                f"{folder}: the tokens {tokens[number]!r} and {token!r} both have the id {number}"
                f"{_repeated_line(folder)}; give each token an id of its own"
            )
    highest = max(tokens)
    require(
        highest < MOST_IDS, f"{folder}: token {tokens[highest]!r} has the id {highest:,}; ids go up to {MOST_IDS:,}"
    )


def _repeated_line(folder: Path) -> str:
    """Where vocab.txt has a line a second time, for an error's text."""
    path, seen = folder / "vocab.txt", dict[str, int]()
    for number, line in enumerate(path.read_text("utf-8").split("\n") if path.is_file() else [], 1):
        first = seen.setdefault(line.rstrip(), number)
        if first != number:
            return f": {path}:{number} repeats {line.rstrip()!r} of line {first}"
    return ""


def _check_word_table(loaded: Any, vocabulary: dict[str, int], folder: Path) -> None:
    """The ids fit the rows of the word table, of which most have a token."""
    rows = _object(folder / "config.json").get("vocab_size")
    if not isinstance(rows, int) or isinstance(rows, bool):
        return
    beyond = sorted((number, token) for token, number in vocabulary.items() if number >= rows)
    if beyond:
        number, token = beyond[0]
        more = f", and {len(beyond) - 1:,} more tokens" if len(beyond) > 1 else ""
        raise StackbertError(
            f"{folder}: the vocabulary does not fit the checkpoint: token {token!r} has the id {number:,}{more}, but "
            f"config.json gives the word table {rows:,} rows (vocab_size); use the tokenizer that the checkpoint was "
            "trained with"
        )
    needed = max(vocabulary.values()) + 1
    is_padded = any(rows % multiple == 0 and rows - needed < 2 * multiple for multiple in PADDED_TO)
    is_part = 2 * needed < rows or (needed < LEAST_SHARE * rows and rows - needed > MOST_SPARE_ROWS)
    if is_part and not is_padded:
        raise StackbertError(
            f"{folder}: its tokenizer has {needed:,} tokens, but config.json gives the word table {rows:,} rows "
            "(vocab_size): these are the files of another tokenizer, or a part of them; copy the checkpoint's own"
        )


def _check_padding(loaded: Any, folder: Path) -> None:
    """Where positions are counted from the padding id of config.json, it has to be the tokenizer's."""
    config = _object(folder / "config.json")
    family, number = FAMILIES.get(str(config.get("model_type"))), config.get("pad_token_id")
    if family and family.counts_from_padding and number is not None and number != loaded.pad_token_id:
        raise StackbertError(
            f"{folder}: config.json gives the padding the id {number!r} (pad_token_id), its tokenizer "
            f"{loaded.pad_token} the id {loaded.pad_token_id}; positions are counted from that id, so set pad_token_id "
            "to the one that the checkpoint was trained with, and use its tokenizer"
        )


def _check_agreement(loaded: Any, folder: Path) -> None:
    """The class that transformers chose reads ordinary text as tokenizer.json does, which it may build anew."""
    path = folder / "tokenizer.json"
    if not path.is_file() or not (set(VOCABULARY_FILES) & set(loaded.vocab_files_names.values())):
        return
    plain = Tokenizer.from_file(str(path))
    plain.no_truncation()
    plain.no_padding()
    backend = Tokenizer.from_str(loaded.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    for text in ORDINARY_TEXTS:
        ours, theirs = (each.encode(text, add_special_tokens=False) for each in (plain, backend))
        if ours.ids != theirs.ids:
            position = next(n for n, _ in enumerate([*ours.ids, -1]) if ours.ids[n : n + 1] != theirs.ids[n : n + 1])
            as_file, as_class = (each.tokens[position : position + 4] for each in (ours, theirs))
            raise StackbertError(
                f"{folder}: transformers' {type(loaded).__name__} does not read text as tokenizer.json does: of "
                f"{text!r} it makes {' '.join(as_class)!r} instead of {' '.join(as_file)!r}. If tokenizer.json is "
                "right, set tokenizer_class in tokenizer_config.json to PreTrainedTokenizerFast; else remove "
                "tokenizer.json, or mend do_lower_case and its like in tokenizer_config.json"
            )


def _check_reading(loaded: Any, vocabulary: dict[str, int], folder: Path) -> None:
    """The vocabulary's own words, or else English, are not mostly unknown to it."""
    plain = [token for token in vocabulary if len(token) > 1 and token.isalpha() and token[0] != BYTE_LEVEL_SPACE]
    words = sorted(plain, key=vocabulary.__getitem__)
    texts = words[:: max(1, len(words) // SAMPLED_WORDS)] or list(ORDINARY_TEXTS[:3])
    encodings = loaded.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
    ids_I = [number for encoding in encodings for number in encoding.ids]
    unknown = sum(number == loaded.unk_token_id for number in ids_I)
    if not ids_I or unknown > MOST_UNKNOWN * len(ids_I):
        what = f"{unknown} of the {len(ids_I)} tokens of {texts[0][:40]!r} and {len(texts) - 1} more texts are"
        raise StackbertError(
            f"{folder}: its tokenizer cannot read ordinary text: {what} {loaded.unk_token}, the unknown token; its "
            "normalizer or its vocabulary is not the checkpoint's own: copy all of its files again"
        )


def moved_tokens(loaded: Any, folder: Path) -> list[str]:
    """Added tokens that have another id than their file names, in words."""
    vocabulary: dict[str, int] = loaded.backend_tokenizer.get_vocab()
    return [
        f"{token!r} has the id {vocabulary[token]:,}, not {number:,}"
        for token, number in dict(_declared_tokens(folder)).items()
        if vocabulary.get(token, number) != number
    ]


def check_known(unknown: int, tokens: int, what: str) -> None:
    """Raise StackbertError where most of the `tokens` of a text are unknown to the tokenizer."""
    if tokens and unknown > MOST_UNKNOWN * tokens:
        raise StackbertError(
            f"{what}: {unknown / tokens:.0%} of the text's tokens are unknown to the tokenizer, so most of the text "
            "would not be read; use a tokenizer of the text's language, or train one with 'tokenizer train'"
        )


@lru_cache(maxsize=64)
def _tell_moved_tokens(folder: Path, moved: tuple[str, ...]) -> None:
    """Say once that transformers numbers added tokens in their order, whatever their file says."""
    if moved:
        more = f", and {len(moved) - 3} more" if len(moved) > 3 else ""
        print(
            f"{folder}: transformers numbers added tokens in their order, after the vocabulary: "
            f"{'; '.join(moved[:3])}{more}",
            file=sys.stderr,
        )
