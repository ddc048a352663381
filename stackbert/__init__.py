"""Domain-adaptive pretraining of small BERT encoders for technical text.

>>> from stackbert import load_study, run_study
>>> load_study("studies/demo.toml").out
'runs/demo'
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finetune.embed import embed
    from stackbert.study import load_study, run_study

__version__ = "0.3.0"
__all__ = ["__version__", "embed", "load_study", "run_study"]


def __getattr__(name: str) -> Any:
    """Load what starts TensorFlow only when it is asked for."""
    if name == "embed":
        from finetune.embed import embed

        return embed
    if name in ("load_study", "run_study"):
        from stackbert import study

        return getattr(study, name)
    raise AttributeError(f"module 'stackbert' has no attribute {name!r}")
