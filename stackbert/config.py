"""Settings of a study's pretraining phases."""

from dataclasses import dataclass, field
from typing import Any, Literal

from pretrain.config import PretrainConfig
from stackbert.core.errors import require
from tokenizer.config import EncodeConfig


@dataclass(frozen=True)
class StudyPhase:
    """A further phase of pretraining, with rows and settings of its own. It begins from the checkpoint of the one
    before."""

    encode: EncodeConfig = field(default_factory=EncodeConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    """Its base is the checkpoint of the phase before."""

    def __post_init__(self) -> None:
        require(
            self.pretrain.base == PretrainConfig.base,
            f"phases: base {self.pretrain.base}: leave it out; a phase begins from the checkpoint of the one before",
        )


@dataclass(frozen=True)
class Adaptation:
    """A row of the comparison: the base after one or several phases of pretraining. Each
    `[[adaptations.NAME.phases]]` has an objective, budget and rates of its own, any settings of `[pretrain]`, and in
    `encode` those of `[encode]`. What it does not set is as `[pretrain]` and `[encode]` say, but for `targets`, which
    are those of its objective. Without phases: one, as `[pretrain]` and `[encode]` say."""

    after: str = ""
    """Name of another adaptation, from whose checkpoint the first phase begins. Empty: it begins from the base."""
    vocabulary: Literal["generic", "code-aware"] | None = None
    """Vocabulary of all phases: the base's own, or the one that the study trains. Not set: that of `after`, else the
    base's own."""
    phases: tuple[dict[str, Any], ...] = ({},)
    """The settings that each phase has of its own."""

    def __post_init__(self) -> None:
        require(bool(self.phases), "phases: name one or more, or leave the list out")
