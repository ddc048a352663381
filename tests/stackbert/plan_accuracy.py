"""How near 'stackbert plan' comes to a run: python -m tests.stackbert.plan_accuracy STUDY [--options of 'plan']

Plans the study in a folder of its own, runs it there, and prints both, stage by stage. On a machine that does other
work both change from minute to minute: repeat it.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import replace

from stackbert.core.process import keep_freed_memory
from stackbert.core.workers import run_apart
from stackbert.plan import plan_study
from stackbert.planning.config import StudyPlanConfig
from stackbert.planning.table import StudyPlan, aligned, duration
from stackbert.study import Study, load_study

Times = dict[str, float]
"""Seconds of each stage by its name in a plan."""


def planned(study: Study, config: StudyPlanConfig) -> StudyPlan:
    """A plan made in this process, as by the command line."""
    keep_freed_memory()
    return plan_study(study, config)


def run_times(study_path: str, study: Study, stages: list[str]) -> Times:
    """Run the study with the command line, and time from each line that announces a planned stage to the next."""
    command = [sys.executable, "-m", "stackbert", "run", study_path, "--out", str(study.out)]
    times, stage, since = Times(), "starting", time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            found = announced(line.rstrip(), f" -> {study.out}/", stages)
            if found:
                times[stage] = times.get(stage, 0.0) + time.monotonic() - since
                stage, since = found, time.monotonic()
    times[stage] = times.get(stage, 0.0) + time.monotonic() - since
    assert not process.returncode, command
    return times


def announced(line: str, arrow: str, stages: list[str]) -> str:
    """The stage that a line of the run announces; empty for other lines.

    >>> announced("== packed rows -> out/rows", " -> out/", ["rows"])
    'rows'
    >>> announced("minilm (minilm): 2 seeds", " -> out/", ["rows", "comparison: minilm"])
    'comparison: minilm'
    """
    if line.startswith("== "):
        return line.partition(arrow)[2]
    stage = f"comparison: {line.partition(' (')[0]}"
    return stage if stage in stages else ""


def main() -> None:
    """Plan, run, and print both."""
    path = sys.argv[1]
    options = dict(zip(sys.argv[2::2], map(float, sys.argv[3::2]), strict=True))
    config = StudyPlanConfig(**{name.removeprefix("--").replace("-", "_"): value for name, value in options.items()})
    with tempfile.TemporaryDirectory() as folder:
        study = replace(load_study(path), out=f"{folder}/out")
        start = time.monotonic()
        plan = run_apart(planned, study, config)
        print(f"planning took {duration(time.monotonic() - start)}", flush=True)
        took = run_times(path, study, [stage.name for stage in plan.stages])
    lines = [["stage", "planned", "took", "ratio"]]
    for stage in plan.stages:
        real = took.get(stage.name, 0.0)
        lines.append([stage.name, duration(stage.seconds[0] or 0), duration(real), ratio(stage.seconds[0], real)])
    whole = sum(took.get(stage.name, 0.0) for stage in plan.stages)
    lines.append(["total", duration(plan.total.seconds[0] or 0), duration(whole), ratio(plan.total.seconds[0], whole)])
    print("\n".join(aligned(lines, left=1)))
    rest = {name: seconds for name, seconds in took.items() if name not in {stage.name for stage in plan.stages}}
    print("not planned:", ", ".join(f"{name} {duration(seconds)}" for name, seconds in rest.items()))


def ratio(planned_seconds: float | None, real: float) -> str:
    """Planned to real."""
    return f"{(planned_seconds or 0) / real:.2f}" if real else ""


if __name__ == "__main__":
    main()
