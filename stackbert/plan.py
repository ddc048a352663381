"""The command 'stackbert plan': what a whole study takes, on this machine and on TPU slices."""

import tempfile
from pathlib import Path

from corpora.build.build import open_source
from pretrain.measure.plan import check_plan
from pretrain.measure.preflight import check_slice, chip_count
from stackbert.adaptations import distinct_phases
from stackbert.planning.comparison import ComparisonPlan
from stackbert.planning.config import StudyPlanConfig
from stackbert.planning.experience import tags_notes
from stackbert.planning.pretraining import PretrainingPlan
from stackbert.planning.table import HERE, Machine, StudyPlan
from stackbert.planning.text import TextPlan
from stackbert.study import (
    CONVERTED,
    Study,
    chains_of,
    planned_systems,
    readable_checkpoints,
    unadapted_checkpoints,
    with_places,
)


def plan_study(study: Study, config: StudyPlanConfig) -> StudyPlan:
    """Estimate every stage of a study from short measurements on samples of its own text.

    Finished stages are taken as they are; nothing is written to `study.out` but checkpoints that are published as .bin
    only, converted as the run needs them. Raises StackbertError as `run_study` does
    for settings, sources and finished stages that do not fit, before anything is measured.
    """
    planned = planned_systems(study)
    places = readable_checkpoints(study, Path(study.out) / CONVERTED)
    unadapted = unadapted_checkpoints(study, planned, places)
    study = with_places(study, places)
    for phase in distinct_phases(chains_of(study)):
        check_plan(phase.pretrain, config)
    for topology in config.topologies:
        check_slice(topology, study.compare.recipe.batch_size, "batch_size")
    for corpus in study.corpora.values():
        open_source(corpus, Path(study.data))
    slices = [Machine(name, config.price_chip * chip_count(name)) for name in config.topologies]
    machines = (Machine(HERE, config.price_here), *slices)
    with tempfile.TemporaryDirectory(prefix="stackbert-plan-") as folder:
        pretraining = PretrainingPlan(study, config, Path(folder))
        comparison = ComparisonPlan(study, config, unadapted)
        text = TextPlan(study, config, Path(folder))
        stages = text.stages(len(machines))
        stages += pretraining.stages(text, len(machines))
        stages += comparison.stages(text, pretraining, len(machines))
    return StudyPlan(machines, tuple(stages), _notes(study, config, text))


def _notes(study: Study, config: StudyPlanConfig, text: TextPlan) -> tuple[str, ...]:
    notes = []
    if text.share < 1:
        notes.append(f"Text stages: from samples of {text.share / 4:.2%} and {text.share:.2%} of the text.")
    phases = [phase for phase in distinct_phases(chains_of(study)) if phase.pretrain.objective == "tags"]
    notes += tags_notes({phase.checkpoint: text.target_tags(phase) for phase in phases})
    notes += [
        "Fine-tuning: from two trials on some texts. All epochs are counted, so that early stopping makes it shorter.",
        "Not counted: the report.",
    ]
    if config.topologies:
        notes.append(
            f"Slices: {config.roofline_share:.0%} of the roofline of the compiled steps; text stages, baselines, "
            "loading and compiling as here."
        )
    if study.compare.reuse:
        notes.append("Trials that earlier comparisons hold (reuse) are counted as if they were to be run.")
    return tuple(notes)
