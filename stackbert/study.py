"""The whole chain from one file: corpora, labelled set, vocabulary, rows, two adaptations, comparison."""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from corpora.config import CorpusConfig, LabelConfig
from finetune.config import CompareConfig, FinetuneConfig
from pretrain.config import MergeConfig, PretrainConfig
from stackbert.core.artifact import Manifest
from stackbert.core.checkpoints import is_random, resolve_base
from stackbert.core.errors import StackbertError, nearest_hint, require
from tokenizer.config import EncodeConfig, TokenizerConfig

GENERIC, OWN = "generic-vocabulary", "code-aware-vocabulary"
MERGED = ", merged with the base"


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
    merged: float = 0.0
    """Share of the way from the base to each adapted checkpoint at which a further row lies; 0: no such row."""
    compare: CompareConfig = field(default_factory=CompareConfig)
    checkpoints: dict[str, str] = field(default_factory=dict)
    """Further rows: name and folder, or hub id, of checkpoints that are compared as they are."""

    def __post_init__(self) -> None:
        require(0 <= self.merged < 1, f"merged {self.merged}: must be from 0 to below 1")
        require(
            not self.merged or (self.pretrain.transfer != "similar" and not is_random(self.pretrain.base)),
            "merged: needs a base with weights, and transfer mean or random; leave it out, or change those",
        )


def load_study(path: Path) -> Study:
    """Read a study file; raises StackbertError naming each unknown or wrong setting."""
    try:
        return _adapter().validate_python(tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise StackbertError(f"{path}: no such file") from None
    except OSError as error:
        raise StackbertError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StackbertError(f"{path}: not valid TOML: {error}") from None
    except ValidationError as error:
        lines = [_complaint(tuple(fault["loc"]), fault["type"], fault["msg"]) for fault in error.errors()]
        raise StackbertError(f"{path}:\n  " + "\n  ".join(lines)) from None


def run_study(study: Study) -> Manifest:
    """Run every stage whose output is not there yet; ends with the comparison's table."""
    from corpora.build.build import build_corpus
    from corpora.labels.label import build_labels
    from finetune.compare.compare import compare, load_task
    from pretrain.merge import merge_checkpoints
    from pretrain.run import run_pretraining
    from tokenizer.encoding.encode import encode_rows
    from tokenizer.vocabulary.train import train_tokenizer

    out, base = Path(study.out), study.pretrain.base
    rows, ours = _generic_rows(study), _own_rows(study)
    corpora = {name: out / "corpora" / name for name in study.corpora}
    for name, config in study.corpora.items():
        _announce(f"corpus '{name}'", corpora[name])
        build_corpus(corpora[name], config, Path(study.data))
    labels, vocabulary = out / "labels", out / "tokenizer"
    _announce("labelled set, and the text that is kept apart from it", labels)
    build_labels(list(corpora.values()), labels, study.labels)
    load_task(labels, study.compare)  # what it refuses is said now and not after hours of pretraining
    _announce("code-aware vocabulary", vocabulary)
    extended = resolve_base(study.tokenizer.extend) if study.tokenizer.extend else None
    train_tokenizer(labels, vocabulary, study.tokenizer, extended)
    for place, name in ours.items():
        tokenizer = vocabulary if place == OWN else resolve_base(base)
        packed, adapted = out / "rows" / place, out / "pretrained" / place
        _announce(f"packed rows, {place}", packed)
        encode_rows(labels, tokenizer, packed, study.encode)
        _announce(f"continued pretraining, {place}", adapted)
        run_pretraining(packed, tokenizer, adapted, study.pretrain)
        rows[name] = str(adapted)
        if study.merged:
            between = out / "merged" / place
            _announce(f"between {base} and what it became, {place}", between)
            merge_checkpoints(resolve_base(base), adapted, between, MergeConfig(study.merged))
            rows[name + MERGED] = str(between)
    _announce("comparison", out / "comparison")
    return compare(labels, rows, out / "comparison", study.compare)


def _generic_rows(study: Study) -> dict[str, str]:
    """The rows compared as they are; what is wrong with them is said now and not after hours of pretraining."""
    from finetune.compare.compare import check_rows

    base, ours = study.pretrain.base, list(_own_rows(study).values())
    ours += [name + MERGED for name in ours] if study.merged else []
    taken = sorted(set(study.checkpoints) & {base, *ours})
    require(not taken, f"checkpoints: {', '.join(taken)} names a row of the study itself; choose another name")
    rows = dict(study.checkpoints) if is_random(base) else {base: base, **study.checkpoints}
    check_rows(rows, study.compare, ours, study.pretrain.exports)
    return rows


def _own_rows(study: Study) -> dict[str, str]:
    """The names of the rows that the study pretrains, by the folders of their vocabularies."""
    base = study.pretrain.base
    rows = {GENERIC: f"{base} adapted", OWN: f"{base} adapted, code-aware vocabulary"}
    if is_random(base):  # without weights, it has no vocabulary of its own to be adapted with
        del rows[GENERIC]
    return rows


def _announce(what: str, folder: Path) -> None:
    print(f"\n== {what} -> {folder}" + (" (finished before)" if folder.exists() else ""), flush=True)


def _adapter() -> TypeAdapter[Study]:
    for config in (Study, *_SECTIONS.values()):
        setattr(config, "__pydantic_config__", ConfigDict(extra="forbid"))  # noqa: B010
    return TypeAdapter(Study)


def _complaint(place: tuple[str | int, ...], kind: str, message: str) -> str:
    where = ".".join(str(part) for part in place)
    if kind != "unexpected_keyword_argument":
        return f"{where}: {message}"
    # the innermost section that the setting stands in; 'corpora' has a level of names between
    section = next((_SECTIONS[str(part)] for part in reversed(place[:-1]) if part in _SECTIONS), Study)
    names = [setting.name for setting in dataclasses.fields(section)]
    return f"{where}: no such setting" + (nearest_hint(str(place[-1]), names) or f"; there are {', '.join(names)}")


_SECTIONS: dict[str, type] = {
    "corpora": CorpusConfig,
    "labels": LabelConfig,
    "tokenizer": TokenizerConfig,
    "encode": EncodeConfig,
    "pretrain": PretrainConfig,
    "compare": CompareConfig,
    "recipe": FinetuneConfig,
}
