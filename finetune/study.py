"""The whole chain from one file: corpora, labelled set, vocabulary, rows, two adaptations, comparison."""

import dataclasses
import difflib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from corpora.artifact import Manifest
from corpora.config import CorpusConfig, LabelConfig
from corpora.errors import StackbertError
from finetune.config import CompareConfig
from pretrain.config import PretrainConfig
from tokenizer.config import EncodeConfig, TokenizerConfig

ADAPTED, CODE_AWARE = "adapted", "adapted, code-aware vocabulary"


@dataclass(frozen=True)
class Study:
    """One question: does adapting this base to this text pay? The rows of the answer are the base as it is, the base
    adapted with its own vocabulary, and the base carried over to a code-aware vocabulary and adapted."""

    out: str = "runs/study"
    """Folder of all stages' outputs; what is finished there is not made again."""
    data: str = "."
    """Folder that the corpora's relative paths start from."""
    corpora: dict[str, CorpusConfig] = field(default_factory=lambda: {"packages": CorpusConfig()})
    """Named sources of text; labels are taken from those with tags."""
    labels: LabelConfig = field(default_factory=LabelConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    compare: CompareConfig = field(default_factory=CompareConfig)
    checkpoints: dict[str, str] = field(default_factory=dict)
    """Further rows: name and folder, or hub id, of checkpoints that are compared as they are."""


def load_study(path: Path) -> Study:
    """Read a study file; raises StackbertError naming each unknown or wrong setting."""
    try:
        return _adapter().validate_python(tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise StackbertError(f"{path}: no such file") from None
    except tomllib.TOMLDecodeError as error:
        raise StackbertError(f"{path}: not valid TOML: {error}") from None
    except ValidationError as error:
        lines = [_complaint(tuple(fault["loc"]), fault["type"], fault["msg"]) for fault in error.errors()]
        raise StackbertError(f"{path}:\n  " + "\n  ".join(lines)) from None


def run_study(study: Study) -> Manifest:
    """Run every stage whose output is not there yet; ends with the comparison's table."""
    from corpora.build import build_corpus
    from corpora.labels import build_labels
    from pretrain.bases import resolve_base
    from tokenizer.rows import encode_rows
    from tokenizer.vocabulary import train_tokenizer

    out = Path(study.out)
    corpora = {name: out / "corpora" / name for name in study.corpora}
    for name, config in study.corpora.items():
        _announce(f"corpus '{name}'", corpora[name])
        build_corpus(corpora[name], config, Path(study.data))
    labels = out / "labels"
    _announce("labelled set, and the text that is kept apart from it", labels)
    build_labels(list(corpora.values()), labels, study.labels)
    vocabulary = out / "tokenizer"
    _announce("code-aware vocabulary", vocabulary)
    train_tokenizer(labels, vocabulary, study.tokenizer)
    base = study.pretrain.base
    rows = {base: base, **study.checkpoints}
    for name, tokenizer in ((ADAPTED, resolve_base(base)), (CODE_AWARE, vocabulary)):
        place = "generic-vocabulary" if name == ADAPTED else "code-aware-vocabulary"
        packed, adapted = out / "rows" / place, out / "pretrained" / place
        _announce(f"packed rows, {place}", packed)
        encode_rows(labels, tokenizer, packed, study.encode)
        _announce(f"continued pretraining, {place}", adapted)
        from pretrain.training import pretrain  # TensorFlow takes seconds to load: not before it is needed

        pretrain(packed, tokenizer, adapted, study.pretrain)
        rows[f"{base} {name}"] = str(adapted)
    from finetune.compare import compare

    _announce("comparison", out / "comparison")
    return compare(labels, rows, out / "comparison", study.compare)


def _announce(what: str, folder: Path) -> None:
    print(f"\n== {what} -> {folder}" + (" (finished before)" if folder.exists() else ""), flush=True)


def _adapter() -> TypeAdapter[Study]:
    for config in (Study, CorpusConfig, LabelConfig, TokenizerConfig, EncodeConfig, PretrainConfig, CompareConfig):
        setattr(config, "__pydantic_config__", ConfigDict(extra="forbid"))  # noqa: B010
    return TypeAdapter(Study)


def _complaint(place: tuple[str | int, ...], kind: str, message: str) -> str:
    where = ".".join(str(part) for part in place)
    if kind != "unexpected_keyword_argument":
        return f"{where}: {message}"
    names = [
        name for config in _SECTIONS.get(str(place[0]) if len(place) > 1 else "", (Study,)) for name in _fields(config)
    ]
    nearest = difflib.get_close_matches(str(place[-1]), names, 1)
    return f"{where}: no such setting" + (
        f"; did you mean '{nearest[0]}'?" if nearest else f"; there are {', '.join(names)}"
    )


def _fields(config: type) -> list[str]:
    return [setting.name for setting in dataclasses.fields(config)]


_SECTIONS: dict[str, tuple[type, ...]] = {
    "corpora": (CorpusConfig,),
    "labels": (LabelConfig,),
    "tokenizer": (TokenizerConfig,),
    "encode": (EncodeConfig,),
    "pretrain": (PretrainConfig,),
    "compare": (CompareConfig,),
}
