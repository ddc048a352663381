"""Settings of the commands that measure and estimate pretraining."""

import math
from dataclasses import dataclass

from pretrain.config import Device, Precision
from stackbert.core.errors import require
from stackbert.core.home import PathText


@dataclass(frozen=True)
class ModelConfig:
    """A model and its training batches, to measure without a run."""

    model: PathText = "6x384"
    """LAYERSxWIDTH, a local folder, a Hugging Face hub id, 'minilm' or 'random-small'."""
    vocab_size: int = 30_522
    """Vocabulary size of a LAYERSxWIDTH or random model."""
    row_length: int = 128
    """Tokens per row, if no rows are given."""
    batch_rows: int = 32
    """Batch size in rows, over all devices."""
    mask_rate: float = 0.15
    """Fraction of a row's tokens to mask."""

    def __post_init__(self) -> None:
        for name in ("row_length", "batch_rows"):
            require(getattr(self, name) > 0, f"{name} {getattr(self, name)}: must be above 0")
        require(self.vocab_size > 10, f"vocab_size {self.vocab_size}: must be above 10")
        require(0 < self.mask_rate < 1, f"mask_rate {self.mask_rate}: must be above 0 and below 1")


@dataclass(frozen=True)
class BenchConfig(ModelConfig):
    """The model, batches and device of a benchmark."""

    precision: Precision = "auto"
    """Data type of matrix products and activations. 'auto': bfloat16 where it is faster."""
    steps: int = 10
    """Timed calls of the compiled training function, after two for warm-up: one step each on a CPU, 50 on accelerators.
    The median is reported."""
    device: Device = "auto"
    """Devices to run on; 'auto' as in 'pretrain run'."""
    profile: bool = False
    """Also time the step's pieces (products, attention, GELU, ...), each alone, and the fastest product of each
    installed library. On a CPU: elsewhere XLA compiles the step as a whole."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.steps > 0, f"steps {self.steps}: must be above 0")


@dataclass(frozen=True)
class FindRateConfig:
    """The learning rates of a range test. Its length is the run's setting `steps`, 100 if not set."""

    low: float = 1e-6
    """Learning rate of the first step."""
    high: float = 1e-2
    """Learning rate of the last step. The rates between rise geometrically. The head that predicts tags or words learns
    at head_learning_rate throughout, as it would in a run with any of them."""

    def __post_init__(self) -> None:
        require(self.low > 0, f"low {self.low}: must be above 0")
        require(self.low < self.high < math.inf, f"low {self.low}, high {self.high}: low must be below high")


@dataclass(frozen=True)
class PreflightConfig(ModelConfig):
    """The model, batches and TPU slice to compile a training step for."""

    topology: str = "v5e:2x4"
    """TPU generation and slice shape: v5e:2x2, v5e:4x4, v6e:2x4, v4:2x2x1, v5p:2x2x1."""
    batch_rows: int = 1_024
    """Batch size in rows, over all chips."""
    micro_batch_rows: int = 0
    """Maximum rows per chip in one forward and backward pass (gradient accumulation). 0: all of the chip's rows."""
    teacher_row_length: int = 0
    """Tokens per row of the teacher, to measure a run with distill_weight: row_length, or 1.5 times that with a new
    vocabulary. The host's tokenization for the teacher is not measured. 0: no distillation."""
    pairs_per_row: int = 0
    """Most pairs of texts in a row, to measure a run with objective pairs; `max_pairs` in `rows.json`. 0: no pairs."""
    causal: bool = False
    """Measure a run with objective causal, which predicts at every position."""
    words_per_row: int = 0
    """Most words that the titles of a row are given to predict, to measure a run with objective words. 0: no words."""
    titles_per_row: int = 16
    """Most titles in a row, to measure a run with objective words."""
    find_batch: bool = False
    """Also search for the largest batch that fits; compiles the step several times."""
    compiler_python: PathText = ""
    """Python interpreter that has jax and libtpu, such as /path/to/venv/bin/python. Empty: this one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            not (self.find_batch and self.micro_batch_rows),
            "find_batch and micro_batch_rows: set one of them; with micro-batches, memory does not limit the batch",
        )
        for name in ("pairs_per_row", "words_per_row"):
            require(getattr(self, name) >= 0, f"{name} {getattr(self, name)}: must be 0 or more")
        require(self.titles_per_row > 0, f"titles_per_row {self.titles_per_row}: must be above 0")
        objectives = ("teacher_row_length", "pairs_per_row", "causal", "words_per_row")
        kinds = [name for name in objectives if getattr(self, name)]
        require(len(kinds) <= 1, f"{' and '.join(kinds)}: set one of them; distillation goes with masked tokens only")


@dataclass(frozen=True)
class MachinesConfig:
    """What to estimate for: this machine and TPU slices."""

    topologies: tuple[str, ...] = ()
    """TPU slices to estimate by compiling for them, such as v5e:2x4 v6e:2x2."""
    price_here: float = 0.0
    """Price of an hour on this machine. 0: no cost estimate."""
    price_chip: float = 0.0
    """Price of an hour on one TPU chip. 0: no cost estimate."""
    roofline_share: float = 0.4
    """Expected fraction of the roofline that a TPU reaches; well-utilised ones reach a third to a half."""
    seconds: float = 60.0
    """Duration of a measurement on this machine."""
    compiler_python: PathText = ""
    """Python interpreter that has jax and libtpu. Empty: this one."""

    def __post_init__(self) -> None:
        for name in ("price_here", "price_chip"):
            require(getattr(self, name) >= 0, f"{name} {getattr(self, name)}: must be 0 or more")
        require(0 < self.roofline_share <= 1, f"roofline_share {self.roofline_share}: must be above 0, and 1 at most")
        require(self.seconds > 0, f"seconds {self.seconds}: must be above 0")


@dataclass(frozen=True)
class PretrainPlanConfig(MachinesConfig):
    """What to estimate for a pretraining run."""

    text_gigabytes: float = 0.0
    """Size of the whole text in gigabytes (10^9 bytes), if the rows are a sample of it. The cleaned posts of the full
    Stack Overflow dump are about 47. 0: the size of the rows' text."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.text_gigabytes >= 0, f"text_gigabytes {self.text_gigabytes}: must be 0 or more")
