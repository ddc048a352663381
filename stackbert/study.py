"""A study: every stage from corpora to comparison, configured in one file."""

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from corpora.config import CorpusConfig, LabelConfig
from corpora.sources.lines import refuse_other_encodings
from finetune.config import CompareConfig
from pretrain.config import FROM_ROWS, MergeConfig, PretrainConfig
from stackbert.adaptations import (
    GENERIC,
    LABELS,
    OWN,
    Chain,
    PhaseStages,
    default_chains,
    distinct_phases,
    known_targets,
    named_chains,
)
from stackbert.config import Adaptation, StudyPhase
from stackbert.core.artifact import Manifest
from stackbert.core.checkpoints import is_random, resolve_base
from stackbert.core.errors import StackbertError, require
from stackbert.core.home import PathText, expand_home
from stackbert.validation import error_lines, strict_adapter
from tokenizer.config import EncodeConfig, TokenizerConfig

MERGED = ", merged with the base"
CORPORA, TOKENIZER = "corpora", "tokenizer"
CONVERTED = "converted"
"""Folder of the checkpoints that are published as .bin only."""


@dataclass(frozen=True)
class Study:
    """Compares a base checkpoint with adaptations of it. By default these are two: pretraining continued on the corpora
    with the base's own vocabulary, and with a new code-aware vocabulary."""

    out: PathText = "runs/study"
    """Output folder of all stages; finished stages are skipped."""
    data: PathText = "."
    """Folder to which relative paths of the corpora refer."""
    corpora: dict[str, CorpusConfig] = field(default_factory=lambda: {"packages": CorpusConfig()})
    """Corpora by name; the labelled set is made from those with tags."""
    labels: LabelConfig = field(default_factory=LabelConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    phases: tuple[StudyPhase, ...] = ()
    """Further phases of pretraining, after that of 'pretrain', such as tags after masked tokens."""
    adaptations: dict[str, Adaptation] = field(default_factory=dict)
    """Adaptations by name, instead of the two: each one a row of the comparison."""
    merged: float = 0.0
    """Add each adapted checkpoint merged with the base, at this share of the way from the base; 0 adds none."""
    compare: CompareConfig = field(default_factory=CompareConfig)
    checkpoints: dict[str, PathText] = field(default_factory=dict)
    """Further checkpoints to compare without pretraining: name and folder or hub id."""

    def __post_init__(self) -> None:
        require(bool(self.corpora), "corpora: name at least one, as [corpora.NAME]")
        for name in self.corpora:
            _check_folder_name("corpora", name, "tickets")
        for name in self.adaptations:
            _check_folder_name("adaptations", name, "masks then tags")
        require(not (self.phases and self.adaptations), "phases and adaptations: set one; an adaptation has its own")
        chains = chains_of(self)
        for phase in distinct_phases(chains):
            unknown = set(phase.encode.weights) - set(self.corpora)
            require(not unknown, f"weights: {', '.join(sorted(unknown))}: no such corpus; there are {self._names()}")
        require(0 <= self.merged < 1, f"merged {self.merged}: must be from 0 to below 1")
        needs_rows = any(chain.phases[0].pretrain.transfer in FROM_ROWS for chain in chains)
        require(
            not self.merged or not (needs_rows or is_random(self.pretrain.base)),
            "merged: needs a base with weights, and transfer 'mean' or 'random'; leave it out, or change those",
        )

    def _names(self) -> str:
        return ", ".join(self.corpora)


def _check_folder_name(section: str, name: str, example: str) -> None:
    require(
        name.strip(". ") != "" and not set(name) & set("/\\\0") and name not in (GENERIC, OWN),
        f"{section}: {name!r} names no folder in that of the study; choose a name such as '{example}'",
    )


def load_study(path: Path | str) -> Study:
    """Read a study file (TOML); raises StackbertError naming each unknown or invalid setting.

    '~' at the start of a path in it is the home folder.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        refuse_other_encodings(path, content[:8])
        study = strict_adapter(Study).validate_python(tomllib.loads(content.decode("utf-8-sig")))
    except FileNotFoundError:
        raise StackbertError(f"{path}: no such file") from None
    except OSError as error:
        raise StackbertError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StackbertError(f"{path}: not valid TOML: {error}") from None
    except ValidationError as error:
        raise StackbertError(f"{path}:\n  " + "\n  ".join(error_lines(error, Study))) from None
    expanded: Study = expand_home(study, Study)
    return expanded


def run_study(study: Study, places: Mapping[str, str] | None = None) -> Manifest:
    """Run every stage that is not finished, and print the comparison's table.

    `places` says for the base and each of `checkpoints`, as the study names them, what is read: by default themselves
    or, where they are published as PyTorch files only, their conversion in 'converted'.

    >>> run_study(load_study("studies/demo.toml"))  # doctest: +SKIP
    """
    from finetune.compare.compare import compare

    planned = planned_systems(study)
    if places is None:  # a rehearsal, which names them, has checked its folder
        _require_own(Path(study.out))
        places = readable_checkpoints(study, Path(study.out) / CONVERTED)
    unadapted = unadapted_checkpoints(study, planned, places)
    labels = _build_labelled_set(study)
    if trains_vocabulary(study):
        _train_vocabulary(study, labels, places)
    adapted = _adapt_checkpoints(study, labels, places)
    out = Path(study.out) / "comparison"
    _announce("comparison", out)
    return compare(labels, unadapted | adapted, out, study.compare)


def _require_own(out: Path) -> None:
    """Raise StackbertError where the study's folder holds nothing of a study but files that are not its own."""
    found = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    names = [name for name in found if not name.startswith(".") and not name.endswith(".toml")]
    if names and not {CORPORA, CONVERTED} & set(found):
        shown = ", ".join(names[:3] + ["..."] * (len(names) > 3))
        raise StackbertError(
            f"out: {out} holds other files ({shown}) and no study; name a folder that does not exist yet"
        )


def named_checkpoints(study: Study) -> list[str]:
    """Every checkpoint that the study reads, as it names them, each once."""
    return list(dict.fromkeys([study.pretrain.base, *study.checkpoints.values()]))


def readable_checkpoints(study: Study, folder: Path) -> dict[str, str]:
    """Each named checkpoint -> what is read: itself, or its conversion in `folder` where it is published as .bin only.

    Raises StackbertError where it must be converted and PyTorch is not installed.
    """
    from pretrain.convert import convert_where_needed

    trained = [name for name in named_checkpoints(study) if not is_random(name)]
    return {name: convert_where_needed(name, folder / "--".join(Path(name).parts[-2:])) for name in trained}


def with_places(study: Study, places: Mapping[str, str]) -> Study:
    """The study with what is read of its checkpoints in the place of their names."""
    base, extend = (places.get(name, name) for name in (study.pretrain.base, study.tokenizer.extend))
    return replace(
        study, pretrain=replace(study.pretrain, base=base), tokenizer=replace(study.tokenizer, extend=extend)
    )


def planned_systems(study: Study) -> list[str]:
    """Names of the checkpoints that the study pretrains and merges.

    Raises StackbertError for phases and names that cannot be, before anything is downloaded.
    """
    from finetune.trials.systems import systems_of

    chains = chains_of(study)
    for phase in distinct_phases(chains):
        objective = phase.pretrain.objective
        require(
            objective not in known_targets() or phase.encode.targets == objective,
            f"objective '{objective}': its rows need targets = '{objective}' in the [encode] of the same phase",
        )
    planned = [chain.name for chain in chains]
    planned += [name + MERGED for name in planned] if study.merged else []
    taken = sorted(set(study.checkpoints) & {study.pretrain.base, *planned})
    require(not taken, f"checkpoints: {', '.join(taken)} is the name of a system of the study; choose another name")
    systems_of(dict.fromkeys([*_unadapted_names(study), *planned], ""), study.compare)
    return planned


def unadapted_checkpoints(study: Study, planned: list[str], places: Mapping[str, str]) -> dict[str, str]:
    """What is read of the base and of `study.checkpoints`, by name.

    Raises StackbertError for checkpoints that do not fit the comparison, before any stage runs.
    """
    from finetune.compare.compare import check_systems

    named = _unadapted_names(study)
    checkpoints = {name: places.get(checkpoint, checkpoint) for name, checkpoint in named.items()}
    exports = max(chain.last.pretrain.exports for chain in chains_of(study))
    check_systems(checkpoints, study.compare, planned, exports)
    return checkpoints


def _unadapted_names(study: Study) -> dict[str, str]:
    """The base and `study.checkpoints` by name; a base with random weights can only be pretrained."""
    base = study.pretrain.base
    return dict(study.checkpoints) if is_random(base) else {base: base, **study.checkpoints}


def chains_of(study: Study) -> list[Chain]:
    """What the study pretrains: its adaptations, or by default the base with its own vocabulary and with a new one."""
    if study.adaptations:
        return named_chains(study.adaptations, study.encode, study.pretrain)
    return default_chains(study.encode, study.pretrain, study.phases)


def trains_vocabulary(study: Study) -> bool:
    """Whether any of its checkpoints has the code-aware vocabulary."""
    return any(chain.vocabulary == OWN for chain in chains_of(study))


def _build_labelled_set(study: Study) -> Path:
    """Build the corpora, and from them the labelled set with its pretraining text."""
    from corpora.build.build import build_corpus
    from corpora.labels.label import build_labels
    from finetune.trials.task import load_task, power_warning

    folders = []
    for name, config in study.corpora.items():
        folders.append(Path(study.out) / CORPORA / name)
        _announce(f"corpus '{name}'", folders[-1])
        build_corpus(folders[-1], config, Path(study.data))
    labels = Path(study.out) / LABELS
    _announce("labelled set and pretraining text", labels)
    build_labels(folders, labels, study.labels)
    task = load_task(labels, study.compare)  # raises for an unsuitable set now, not after hours of pretraining
    if (warning := power_warning(task, study.compare)) and not (Path(study.out) / "comparison").exists():
        print(warning, file=sys.stderr)
    return labels


def _train_vocabulary(study: Study, labels: Path, places: Mapping[str, str]) -> None:
    """Train the code-aware vocabulary on the pretraining text."""
    from tokenizer.vocabulary.train import train_tokenizer

    vocabulary = Path(study.out) / TOKENIZER
    _announce("code-aware vocabulary", vocabulary)
    extend = study.tokenizer.extend
    extended = resolve_base(places.get(extend, extend)) if extend else None
    train_tokenizer(labels, vocabulary, study.tokenizer, extended)


def _adapt_checkpoints(study: Study, labels: Path, places: Mapping[str, str]) -> dict[str, str]:
    """Pretrain the base in the phases of each chain and, if `study.merged`, merge the results with it."""
    from pretrain.merge import merge_checkpoints

    out, checkpoints = Path(study.out), {}
    base = places.get(study.pretrain.base, study.pretrain.base)
    done: set[str] = set()
    for chain in chains_of(study):
        for phase in chain.phases:
            if phase.checkpoint not in done:
                _run_phase(out, phase, labels, base)
                done.add(phase.checkpoint)
        adapted = out / chain.last.checkpoint
        checkpoints[chain.name] = str(adapted)
        if study.merged:
            merged = out / "merged" / chain.folder
            _announce(f"merged with {base}, {chain.folder}", merged)
            merge_checkpoints(resolve_base(base), adapted, merged, MergeConfig(study.merged))
            checkpoints[chain.name + MERGED] = str(merged)
    return checkpoints


def _run_phase(out: Path, phase: PhaseStages, labels: Path, base: str) -> None:
    """Encode the phase's rows, and pretrain on them from `base` or the checkpoint of the phase before."""
    from pretrain.run import run_pretraining
    from tokenizer.encoding.encode import encode_rows

    tokenizer = out / TOKENIZER if phase.vocabulary == OWN else resolve_base(base)
    packed, adapted = out / phase.rows, out / phase.checkpoint
    _announce(f"packed rows, {phase.rows.partition('/')[2]}", packed)
    encode_rows(labels, tokenizer, packed, phase.encode)
    _announce(f"continued pretraining, {phase.checkpoint.partition('/')[2]}", adapted)
    run_pretraining(packed, tokenizer, adapted, phase.run_config(out, base))


def _announce(stage: str, folder: Path) -> None:
    print(f"\n== {stage} -> {folder}", flush=True)
