"""Adaptations of a study's base: chains of pretraining phases, and the folders of their stages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pretrain.config import PretrainConfig
from stackbert.config import Adaptation, StudyPhase
from stackbert.core.checkpoints import is_random
from stackbert.core.errors import StackbertError, nearest_hint, require
from stackbert.validation import validated
from tokenizer.config import EncodeConfig

LABELS = "labels"
"""Folder of the labelled set."""
GENERIC, OWN = "generic-vocabulary", "code-aware-vocabulary"
BUDGETS = ("tokens", "steps", "epochs", "minutes")
"""A phase that sets one of them has none of [pretrain]'s."""
OF_THE_FIRST_PHASE = ("transfer", "new_rows_first", "embeddings_first")
"""Settings for a new vocabulary; the phases after the first begin from a checkpoint that has it."""
OF_MASKED_TOKENS = ("distill_weight", "distill_decay_share")
"""Settings of [pretrain] that phases of another objective do not take."""


@dataclass(frozen=True)
class PhaseStages:
    """The two stages of a phase: encoding its rows, and pretraining. Folders are named in that of the study."""

    vocabulary: str
    """GENERIC or OWN."""
    encode: EncodeConfig
    pretrain: PretrainConfig
    """Without its base."""
    rows: str
    """Folder of the packed rows; phases of equal rows share it."""
    checkpoint: str
    """Folder of the checkpoint."""
    before: str = ""
    """Folder of the checkpoint that it begins from; empty: the base."""

    def run_config(self, out: Path, base: str) -> PretrainConfig:
        """The settings of its run in a study's folder: `base` or the checkpoint before, and the study's labels."""
        return with_labels(replace(self.pretrain, base=str(out / self.before) if self.before else base), out / LABELS)


@dataclass(frozen=True)
class Chain:
    """A system of the comparison: the base after some phases."""

    name: str
    """In the comparison."""
    folder: str
    """Folder below 'merged', for its merge with the base."""
    phases: tuple[PhaseStages, ...]

    @property
    def vocabulary(self) -> str:
        return self.phases[0].vocabulary

    @property
    def last(self) -> PhaseStages:
        return self.phases[-1]


def default_chains(encode: EncodeConfig, pretrain: PretrainConfig, further: Sequence[StudyPhase]) -> list[Chain]:
    """The base with its own vocabulary and with the study's, each after the phase of [pretrain] and the further ones.

    A base with random weights has no vocabulary of its own.
    """
    base = pretrain.base
    names = {GENERIC: f"{base} adapted", OWN: f"{base} adapted, code-aware vocabulary"}
    if is_random(base):
        del names[GENERIC]
    phases = [StudyPhase(encode, replace(pretrain, base=PretrainConfig.base)), *further]
    chains = []
    for vocabulary, name in names.items():
        stages: list[PhaseStages] = []
        for number, phase in enumerate(phases, 1):
            suffix = f"-{number}" if number > 1 else ""
            folders = f"rows{suffix}/{vocabulary}", f"pretrained{suffix}/{vocabulary}"
            before = stages[-1].checkpoint if stages else ""
            stages.append(PhaseStages(vocabulary, phase.encode, phase.pretrain, *folders, before))
        chains.append(Chain(name, vocabulary, tuple(stages)))
    return chains


def named_chains(adaptations: Mapping[str, Adaptation], encode: EncodeConfig, pretrain: PretrainConfig) -> list[Chain]:
    """A chain for each adaptation; raises StackbertError for settings and names that cannot be.

    Phases are in folders NAME/NUMBER-OBJECTIVE. Those that 'after' puts first are the other adaptation's own.
    """
    builder = _ChainBuilder(adaptations, encode, pretrain)
    return [Chain(name, name, builder.phases(name)) for name in adaptations]


class _ChainBuilder:
    """Follows 'after' from adaptation to adaptation."""

    def __init__(self, adaptations: Mapping[str, Adaptation], encode: EncodeConfig, pretrain: PretrainConfig) -> None:
        self._adaptations, self._encode, self._pretrain = adaptations, encode, pretrain
        self._found: dict[str, tuple[PhaseStages, ...]] = {}
        self._rows: list[tuple[str, EncodeConfig, str]] = []
        """Vocabulary, settings and folder of all packed rows."""

    def phases(self, name: str, walked: tuple[str, ...] = ()) -> tuple[PhaseStages, ...]:
        """All phases of an adaptation, in order; `walked` are those that come after it."""
        require(name not in walked, f"adaptations.{name}: comes after itself: {' after '.join((*walked, name))}")
        if name not in self._found:
            after = self._adaptations[name].after
            require(
                not after or after in self._adaptations,
                f"adaptations.{name}: after {after}: there is no such adaptation"
                f"{nearest_hint(after, list(self._adaptations))}",
            )
            before = self.phases(after, (*walked, name)) if after else ()
            self._found[name] = (*before, *self._own_phases(name, before))
        return self._found[name]

    def _own_phases(self, name: str, before: Sequence[PhaseStages]) -> list[PhaseStages]:
        vocabulary = _vocabulary(name, self._adaptations[name], before, self._pretrain)
        previous, own = before[-1].checkpoint if before else "", list[PhaseStages]()
        for number, settings in enumerate(self._adaptations[name].phases):
            where = f"adaptations.{name}.phases.{number}"
            phase = resolve_phase(settings, self._encode, self._pretrain, where, is_first=not previous)
            folder = f"{name}/{len(before) + number + 1}-{phase.pretrain.objective}"
            rows = self._rows_folder(vocabulary, phase.encode, f"rows/{folder}")
            checkpoint = f"pretrained/{folder}"
            own.append(PhaseStages(vocabulary, phase.encode, phase.pretrain, rows, checkpoint, previous))
            previous = checkpoint
        return own

    def _rows_folder(self, vocabulary: str, config: EncodeConfig, folder: str) -> str:
        """That of the first phase with equal rows."""
        for known_vocabulary, known_config, known_folder in self._rows:
            if (known_vocabulary, known_config) == (vocabulary, config):
                return known_folder
        self._rows.append((vocabulary, config, folder))
        return folder


def resolve_phase(
    settings: Mapping[str, Any], encode: EncodeConfig, pretrain: PretrainConfig, where: str, *, is_first: bool
) -> StudyPhase:
    """A phase with all its settings: its own, and those of [pretrain] and [encode] for the others.

    Raises StackbertError, which names the setting as `where` does, for unknown and invalid ones.
    """
    own = {name: value for name, value in settings.items() if name != "encode"}
    rows = settings.get("encode", {})
    require(isinstance(rows, dict), f"{where}.encode: must be a table of settings of [encode]")
    require("base" not in own, f"{where}: base {own.get('base')}: leave it out; [pretrain] names that of all phases")
    objective = own.get("objective", pretrain.objective)
    not_taken = ["base"]
    not_taken += BUDGETS if set(own) & set(BUDGETS) else ()
    not_taken += OF_MASKED_TOKENS if objective != "masked_lm" else ()
    not_taken += OF_THE_FIRST_PHASE if not is_first else ()
    shared = {name: value for name, value in vars(pretrain).items() if name not in not_taken}
    shared_rows = vars(encode) | {"targets": objective if objective in known_targets() else EncodeConfig.targets}
    return StudyPhase(
        validated(EncodeConfig, shared_rows | rows, f"{where}.encode"), validated(PretrainConfig, shared | own, where)
    )


def settings_of(phase: PhaseStages) -> dict[str, Any]:
    """All settings of a phase, as those of an adaptation's."""
    own = {name: value for name, value in vars(phase.pretrain).items() if name != "base"}
    return own | {"encode": dict(vars(phase.encode))}


def known_targets() -> tuple[str, ...]:
    """What rows can have besides masked tokens, each for the objective of its name."""
    return tuple(name for name in get_args(get_type_hints(EncodeConfig)["targets"]) if name != EncodeConfig.targets)


def with_labels(pretrain: PretrainConfig, labels: Path) -> PretrainConfig:
    """A run that is stopped by a probe reads the study's labelled set, unless it names another."""
    is_without = pretrain.stop_by == "probe" and not pretrain.probe_labels
    return replace(pretrain, probe_labels=str(labels)) if is_without else pretrain


def distinct_phases(chains: Sequence[Chain]) -> Iterator[PhaseStages]:
    """Every phase once, in the order in which they run."""
    yield from {phase.checkpoint: phase for chain in chains for phase in chain.phases}.values()


def _vocabulary(name: str, adaptation: Adaptation, before: Sequence[PhaseStages], pretrain: PretrainConfig) -> str:
    """GENERIC or OWN; raises StackbertError where it cannot be."""
    given = {None: "", "generic": GENERIC, "code-aware": OWN}[adaptation.vocabulary]
    vocabulary = given or (before[0].vocabulary if before else GENERIC)
    require(
        not before or vocabulary == before[0].vocabulary,
        f"adaptations.{name}: vocabulary {adaptation.vocabulary}: '{adaptation.after}' has another; leave it out",
    )
    if vocabulary == GENERIC and is_random(pretrain.base):
        raise StackbertError(
            f"adaptations.{name}: {pretrain.base} has no vocabulary of its own; set vocabulary = 'code-aware'"
        )
    return vocabulary
