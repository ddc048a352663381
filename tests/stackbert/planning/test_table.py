"""The table that a plan prints."""

from stackbert.planning.table import GIB, HERE, Machine, StagePlan, StudyPlan

MACHINES = (Machine(HERE, 0.0), Machine("v5e:2x2", 3.6))
READING = StagePlan("corpora/posts", "1,000 posts", (0.0, 0.0), GIB, done=True)
TRAINING = StagePlan("pretrained/own", "5 tokens", (7_200.0, 100.0), GIB, 2 * GIB)
COMPARING = StagePlan("comparison: own", "5 texts", (30.0, 20.0), 0, GIB)


def test_every_stage_has_a_line_and_the_total_counts_what_is_not_done():
    plan = StudyPlan(MACHINES, (READING, TRAINING, COMPARING), ("A note.",))
    assert (plan.total.seconds, plan.total.disk, plan.total.memory) == ((7_230.0, 120.0), 2 * GIB, 2 * GIB)
    header, reading, training, comparing, _, total, _, note = str(plan).splitlines()
    assert header.split("  ")[-1] == "cost, v5e:2x2", "a machine without a price has no column"
    assert "2.00 h" in training and training.endswith("0.10")
    assert reading.count("done") == 2
    assert comparing.split()[-1] == "0.02"
    assert total.startswith("total") and "2.0 min" in total and total.endswith("0.12")
    assert note == "A note."


def test_what_does_not_fit_has_no_time_and_no_total():
    large = StagePlan("pretrained/own", "5 tokens", (60.0, None), 0)
    plan = StudyPlan(MACHINES, (READING, large), ())
    assert plan.total.seconds == (60.0, None)
    assert str(plan).count("too large") == 2
