"""The trainings of a comparison in the order in which they run."""

from finetune.trials.systems import System
from stackbert.planning.comparison import Training, with_compiling

SIZES = (100, 20, 20)


def test_what_is_compiled_serves_the_next_of_the_same_shapes():
    base, adapted, own = (System(name, "encoder", name) for name in ("base", "adapted", "own"))
    linear = System("TF-IDF", "linear")
    shapes = {base: "base", adapted: "base", own: "own", linear: ""}
    planned = [Training(system, shapes[system], SIZES, number) for system in shapes for number in (0, 1)]
    found = [(each.system.name, each.round, each.compiles) for each in with_compiling(planned)]
    assert found == [
        *(("base", 0, True), ("adapted", 0, False), ("own", 0, True), ("TF-IDF", 0, False)),
        *(("base", 1, True), ("adapted", 1, False), ("own", 1, True), ("TF-IDF", 1, False)),
    ]
