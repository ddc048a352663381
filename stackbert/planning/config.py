"""Settings of 'stackbert plan'."""

from dataclasses import dataclass

from pretrain.measure.config import MachinesConfig
from stackbert.core.errors import require


@dataclass(frozen=True)
class StudyPlanConfig(MachinesConfig):
    """What to estimate for a study."""

    seconds: float = 15.0
    """Duration of each measurement on this machine, without what is done once, such as compilation: one of each
    pretraining, one of fine-tuning each kind of checkpoint."""
    sample_rows: int = 8_000
    """Rows of the sources (posts, files of packages) that the text stages are measured on. More are more exact where
    the text is large."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.sample_rows > 0, f"sample_rows {self.sample_rows}: must be above 0")
