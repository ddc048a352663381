"""Domain-adaptive pretraining of small BERT encoders for technical text.

>>> from stackbert import load_study, run_study
>>> load_study("studies/demo.toml").out
'runs/demo'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finetune.embed import embed
    from stackbert.guard import start_quietly
    from stackbert.study import load_study, run_study

__version__ = "0.6.0"
__all__ = ["__version__", "embed", "load_study", "run_study", "start_quietly"]

_MODULES = {
    "embed": "finetune.embed",
    "load_study": "stackbert.study",
    "run_study": "stackbert.study",
    "start_quietly": "stackbert.guard",
}
"""Modules of what is loaded only when it is asked for, as some start TensorFlow."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'stackbert' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
