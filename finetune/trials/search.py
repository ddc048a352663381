"""Chooses pooling and learning rate for each checkpoint, on dev and from the same candidates for all."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from finetune.classifier.phases import best_epoch
from finetune.config import CompareConfig, FinetuneConfig
from finetune.trials.reuse import earlier_file
from finetune.trials.systems import System
from finetune.trials.task import Task
from finetune.trials.trial_runner import TrialRunner
from stackbert.core.artifact import write_json

FOLDER = "search"
Setting = Literal["pooling", "learning_rate"]


@dataclass(frozen=True)
class Candidate:
    """A value of a setting that was tried with one seed."""

    setting: Setting
    value: str | float
    dev_weighted_f1: float
    """Of the head alone for a pooling, of the whole model's best epoch for a learning rate."""
    seconds: float
    """Features and head for a pooling, both phases for a learning rate."""
    chosen: bool = False


@dataclass(frozen=True)
class Search:
    """What was tried for one system, and chosen on dev."""

    name: str
    seed: int
    candidates: list[Candidate] = field(default_factory=list)

    @property
    def chosen(self) -> dict[str, str | float]:
        """The chosen value of each setting that was searched."""
        return {each.setting: each.value for each in self.candidates if each.chosen}

    @property
    def extra_seconds(self) -> float:
        """Time of the candidates that were not chosen: the others' features and trial serve the comparison, too."""
        return sum(each.seconds for each in self.candidates if not each.chosen)


class Searcher:
    """Searches for systems one after the other, and gives what it chooses to `runner`.

    All candidates are tried in `folder`, the comparison's own, with the first seed on all training texts, and are kept
    there: a comparison that was stopped continues, and one that reuses this one does not try them again.
    """

    def __init__(self, runner: TrialRunner, config: CompareConfig, folder: Path) -> None:
        self._runner, self._config, self._folder = runner, config, folder
        self._chief, self._seed = runner.replicas.is_chief, config.seeds[0]

    def run(self, system: System, task: Task) -> Search | None:
        """Choose the recipe of `system`: the pooling first, then the learning rate with that pooling.

        None where nothing is to be chosen, and on a worker that is not the chief, which learns of the choice.
        """
        poolings, rates = self._config.search_poolings, self._config.search_learning_rates
        if system.kind != "encoder" or not (poolings or rates):
            return None
        recipe, candidates = self._config.recipe, list[Candidate]()
        if poolings:
            recipes = [replace(recipe, pooling=pooling) for pooling in poolings]
            tried = [self._try_pooling(system, task, each) for each in recipes]
            recipe = recipes[self._choose(tried, candidates)]
        if rates:
            recipes = [replace(recipe, learning_rate=rate) for rate in rates]
            tried = [self._try_learning_rate(system, task, each) for each in recipes]
            recipe = recipes[self._choose(tried, candidates)]
        self._runner.recipes[system.name] = recipe
        if not self._chief:
            return None
        search = Search(system.name, self._seed, candidates)
        print(f"  chosen on dev: {words_of(search)}", flush=True)
        return search

    def _choose(self, tried: Sequence[Candidate], candidates: list[Candidate]) -> int:
        """Index of the best, the first of equals, as the chief finds it; adds what was tried to `candidates`."""
        values = [each.dev_weighted_f1 for each in tried]
        best = self._runner.replicas.agree(values.index(max(values)))
        candidates += [replace(each, chosen=number == best) for number, each in enumerate(tried)]
        return best

    def _try_pooling(self, system: System, task: Task, recipe: FinetuneConfig) -> Candidate:
        """The head's phase on dev; test is not read."""
        name = f"{FOLDER}/{system.folder(Path()).name}/pooling-{recipe.pooling}.json"
        [spec] = self._runner.specs(system, task, self._folder, recipe, (self._seed,))
        kept = self._kept(name, spec.key) if self._chief else None
        found = Candidate("pooling", recipe.pooling, *(kept or (0.0, 0.0)))
        if self._runner.replicas.agree(kept is not None):
            return found
        print(f"  pooling {recipe.pooling}", flush=True)
        tuner = self._runner.prepare(system, (task.cleaned() if system.cleaned else task).without_test(), recipe)
        if not self._chief:
            return found
        f1, seconds = tuner.head_on_dev(self._seed)
        found = replace(found, dev_weighted_f1=f1, seconds=seconds)
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"key": spec.key} | asdict(found))
        return found

    def _kept(self, name: str, key: str) -> tuple[float, float] | None:
        """Dev weighted F1 and seconds of a pooling that was tried here or in an earlier comparison."""
        path = earlier_file([self._folder, *map(Path, self._config.reuse)], name)
        values = json.loads(path.read_text("utf-8")) if path else {}
        return (values["dev_weighted_f1"], values["seconds"]) if values.get("key") == key else None

    def _try_learning_rate(self, system: System, task: Task, recipe: FinetuneConfig) -> Candidate:
        """A whole trial, which is the first seed's of the comparison if its learning rate is chosen."""
        name = f"learning-rate-{recipe.learning_rate:g}"
        print(f"  learning rate {recipe.learning_rate:g}", flush=True)
        folder = system.folder(self._folder / FOLDER) / name
        scratch = self._runner.scratch
        model = system.folder(scratch / "models") / name if scratch and not system.cleaned else None
        trials = self._runner.run(system, task, folder, model, recipe, (self._seed,), needs_model=False)
        if not trials:
            return Candidate("learning_rate", recipe.learning_rate, 0.0, 0.0)
        summary = trials[0].summary
        assert summary.curves
        [spec] = self._runner.specs(system, task, folder, recipe, (self._seed,))
        self._runner.remember(spec, model)
        dev_f1 = best_epoch(summary.curves.whole, recipe.best_by).dev_weighted_f1
        seconds = summary.seconds["head"] + summary.seconds["whole"]
        return Candidate("learning_rate", recipe.learning_rate, dev_f1, seconds)


def words_of(search: Search) -> str:
    """The chosen values.

    >>> words_of(Search("a", 0, [Candidate("learning_rate", 2e-5, 0.7, 9.0, True)]))
    'learning rate 2e-05'
    """
    return ", ".join(f"{setting.replace('_', ' ')} {shown(value)}" for setting, value in search.chosen.items())


def shown(value: str | float) -> str:
    """A candidate's value as text."""
    return value if isinstance(value, str) else f"{value:g}"
