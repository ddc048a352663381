"""Adaptations of a study: what each phase is, where it goes, and what it hands on."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.trials.task import check_not_taught, load_task
from pretrain.config import PretrainConfig
from pretrain.model.checkpoint import load_checkpoint
from pretrain.model.taught import load_taught
from stackbert.adaptations import GENERIC, OWN, Chain, known_targets, resolve_phase
from stackbert.config import Adaptation
from stackbert.core.artifact import load_manifest
from stackbert.core.errors import StackbertError
from stackbert.plan import plan_study
from stackbert.planning.config import StudyPlanConfig
from stackbert.study import Study, chains_of, load_study, planned_systems, run_study
from tests.pretrain.runs import fingerprint
from tokenizer.config import EncodeConfig

TAGS = {"objective": "tags", "steps": 2, "encode": {"max_text_tokens": 16}}
STUDY = """
out = '{folder}/out'
data = '{folder}'
[corpora.posts]
source = 'table'
path = 'posts.csv'
title_column = 'title'
tags_column = 'tags'
[labels]
labels = ['c++', 'node.js']
[encode]
row_length = 16
validation_share = 0.2
[pretrain]
base = '{base}'
steps = 1
batch_rows = 2
validation_rows = 4
precision = 'float32'
[adaptations.masks]
[adaptations.'masks, tags, masks']
after = 'masks'
[[adaptations.'masks, tags, masks'.phases]]
objective = 'tags'
steps = 2
[[adaptations.'masks, tags, masks'.phases]]
steps = 3
[[adaptations.tags.phases]]
objective = 'tags'
steps = 2
stop_by = 'probe'
[compare]
tfidf = false
word_vectors = false
[compare.recipe]
max_length = 16
"""


def chains(**adaptations: Adaptation) -> dict[str, Chain]:
    return {chain.name: chain for chain in chains_of(Study(adaptations=adaptations))}


def resolved(settings: dict, is_first: bool = True, **pretrain: object) -> PretrainConfig:
    return resolve_phase(settings, EncodeConfig(), PretrainConfig(**pretrain), "here", is_first=is_first).pretrain


def load(folder: Path, base: str) -> Study:
    lines = ["title,tags"]
    for number in range(300):
        tags = (("c++", "node.js")[number % 2], ("mysql", "numpy")[number % 3 % 2])
        lines.append(
            f"how to sort the rows of table {number} and print list {number * 7} in {tags[0]},{'|'.join(tags)}"
        )
    (folder / "posts.csv").write_text("\n".join(lines), "utf-8")
    (folder / "study.toml").write_text(STUDY.format(folder=folder, base=base), "utf-8")
    return load_study(folder / "study.toml")


def test_a_study_without_adaptations_has_the_folders_and_names_of_before():
    first, second = chains_of(Study())
    assert (first.name, second.name) == ("minilm adapted", "minilm adapted, code-aware vocabulary")
    assert [(phase.rows, phase.checkpoint) for phase in first.phases] == [(f"rows/{GENERIC}", f"pretrained/{GENERIC}")]
    assert second.last.checkpoint == f"pretrained/{OWN}"
    assert first.last.pretrain == PretrainConfig() and first.last.encode == EncodeConfig()


def test_a_phase_takes_what_it_does_not_set_from_the_study():
    study = Study(
        pretrain=PretrainConfig(batch_rows=8, minutes=5.0, distill_weight=10.0, transfer="random"),
        encode=EncodeConfig(row_length=64),
        adaptations={"x": Adaptation(phases=({}, TAGS))},
    )
    first, second = chains_of(study)[0].phases
    assert (first.pretrain, first.encode) == (study.pretrain, study.encode)
    assert (second.pretrain.batch_rows, second.pretrain.objective, second.pretrain.steps) == (8, "tags", 2)
    assert (second.encode.row_length, second.encode.max_text_tokens, second.encode.targets) == (64, 16, "tags")


def test_a_phase_with_a_budget_of_its_own_has_none_of_the_study():
    assert resolved({"epochs": 1}, minutes=5.0).minutes == 0.0
    assert resolved({"tokens": 7}, steps=9).steps == 0
    assert resolved({"seed": 1}, minutes=5.0).minutes == 5.0


def test_what_belongs_to_a_new_vocabulary_or_to_masked_tokens_is_not_handed_on():
    distilled = {"distill_weight": 10.0, "distill_decay_share": 0.5}
    shared = {"transfer": "random", "embeddings_first": 0.5, **distilled}
    assert resolved({}, **shared) == PretrainConfig(**shared)
    assert resolved({}, is_first=False, **shared) == PretrainConfig(**distilled)
    tags = resolved({"objective": "tags"}, **shared)
    assert (tags.distill_weight, tags.distill_decay_share) == (0.0, 0.0)


@pytest.mark.parametrize("objective", known_targets())
def test_rows_get_the_targets_of_the_objective(objective):
    phase = resolve_phase({"objective": objective}, EncodeConfig(), PretrainConfig(), "here", is_first=True)
    assert phase.encode.targets == objective
    other = resolve_phase({}, replace(EncodeConfig(), targets=objective), PretrainConfig(), "here", is_first=True)
    assert other.encode.targets == "none"


def test_phases_are_numbered_through_and_equal_rows_are_encoded_once():
    found = chains(masks=Adaptation(), both=Adaptation(after="masks", phases=(TAGS,)), tags=Adaptation(phases=(TAGS,)))
    assert [phase.checkpoint for phase in found["both"].phases] == [
        "pretrained/masks/1-masked_lm",
        "pretrained/both/2-tags",
    ]
    assert [phase.before for phase in found["both"].phases] == ["", "pretrained/masks/1-masked_lm"]
    assert found["tags"].last.checkpoint == "pretrained/tags/1-tags"
    assert found["tags"].last.rows == found["both"].last.rows == "rows/both/2-tags"


def test_an_adaptation_has_the_vocabulary_of_the_one_before():
    own = Adaptation(vocabulary="code-aware")
    found = chains(last=Adaptation(after="own"), own=own)
    assert found["last"].vocabulary == found["own"].vocabulary == OWN
    assert found["last"].last.rows == found["own"].last.rows, "the same text in the same vocabulary"
    with pytest.raises(StackbertError, match=r"adaptations.x: vocabulary generic: 'own' has another; leave it out"):
        chains(own=own, x=Adaptation(after="own", vocabulary="generic"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[adaptations.a]\nafter = 'bb'\n[adaptations.b]\n", "adaptations.a: after bb: there is no such adaptation"),
        ("[adaptations.a]\nafter = 'b'\n[adaptations.b]\nafter = 'a'\n", "comes after itself: a after b after a"),
        ("[[adaptations.a.phases]]\ntokns = 3\n", "adaptations.a.phases.0.tokns: no such setting; nearest is 'tokens'"),
        ("[[adaptations.a.phases]]\nencode = {row = 3}\n", "adaptations.a.phases.0.encode.row: no such setting"),
        ("[[adaptations.a.phases]]\nencode = 3\n", "adaptations.a.phases.0.encode: must be a table"),
        ("[[adaptations.a.phases]]\ntokens = 'x'\n", "adaptations.a.phases.0.tokens: Input should be a valid integer"),
        ("[[adaptations.a.phases]]\nmask_rate = 3.0\n", "mask_rate 3.0: must be above 0 and below 1"),
        ("[[adaptations.a.phases]]\nbase = 'x'\n", "adaptations.a.phases.0: base x: leave it out"),
        ("[adaptations.a]\nphases = []\n", "phases: name one or more"),
        ("[adaptations.a]\nvocab = 'x'\n", "adaptations.a.vocab: no such setting; nearest is 'vocabulary'"),
        ("[adaptations.'a/b']\n", "adaptations: 'a/b' names no folder"),
        (f"[adaptations.{GENERIC}]\n", f"adaptations: '{GENERIC}' names no folder"),
        ("[[phases]]\n[adaptations.a]\n", "phases and adaptations: set one"),
        ("[pretrain]\nbase = 'random-tiny'\n[adaptations.a]\n", "random-tiny has no vocabulary of its own"),
        ("[encode]\nweights = {x = 1}\n", "weights: x: no such corpus; there are packages"),
        ("merged = 0.5\n[[adaptations.a.phases]]\ntransfer = 'similar'\n", "merged: needs a base with weights"),
    ],
)
def test_what_cannot_be_is_refused_when_the_study_is_read(text, message, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(StackbertError) as error:
        load_study(path)
    assert message in str(error.value)


def test_names_of_adaptations_are_those_of_systems():
    study = Study(adaptations={"masks": Adaptation(), "tags": Adaptation(phases=(TAGS,))})
    assert planned_systems(study) == ["masks", "tags"]
    with pytest.raises(StackbertError, match="checkpoints: tags is the name of a system of the study"):
        planned_systems(replace(study, checkpoints={"tags": "x"}))


@pytest.fixture(scope="module")
def finished(tiny_base, tmp_path_factory) -> tuple[Study, dict[str, str]]:
    """A study that was run up to its comparison, and what it compares."""
    folder, compared = tmp_path_factory.mktemp("study"), {}
    study = load(folder, str(tiny_base))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune.compare.compare.compare", lambda labels, systems, *_: compared.update(systems))
        run_study(study)
    return study, compared


def test_every_adaptation_is_compared_and_shared_phases_run_once(finished):
    study, compared = finished
    out = Path(study.out)
    assert list(compared) == [study.pretrain.base, "masks", "masks, tags, masks", "tags"]
    checkpoints = sorted(
        path.parent.relative_to(out / "pretrained").as_posix() for path in out.glob("pretrained/*/*/manifest.json")
    )
    assert checkpoints == [
        "masks, tags, masks/2-tags",
        "masks, tags, masks/3-masked_lm",
        "masks/1-masked_lm",
        "tags/1-tags",
    ]
    assert Path(compared["masks, tags, masks"]) == out / "pretrained/masks, tags, masks/3-masked_lm"
    manifest = load_manifest(Path(compared["masks, tags, masks"]))
    assert (manifest.counts["tokens"], manifest.counts["total_tokens"]) == (3 * 32, 6 * 32)
    assert not (out / "tokenizer").exists(), "no adaptation has the code-aware vocabulary"


def test_a_phase_that_a_probe_stops_reads_the_study_s_labels(finished):
    study, compared = finished
    manifest = load_manifest(Path(compared["tags"]))
    assert manifest.inputs["probe_labels"] == load_manifest(Path(study.out) / "labels").identity
    assert manifest.counts["exported_step"] in (0, 1, 2)
    assert "probe_labels" not in load_manifest(Path(compared["masks"])).inputs
    probed = replace(chains_of(study)[-1].last, pretrain=PretrainConfig(stop_by="probe", probe_labels="own"))
    assert probed.run_config(Path("out"), "x").probe_labels == "own"


def test_a_later_phase_hands_on_what_an_earlier_one_taught(finished):
    study, compared = finished
    last = Path(compared["masks, tags, masks"])
    tags = last.parent / "2-tags"
    assert load_taught(last).tags == load_taught(tags).tags == ("mysql", "numpy")
    assert load_taught(last).keys_N.tolist() == load_taught(tags).keys_N.tolist() != []
    assert load_taught(Path(compared["masks"])).tags == ()
    task = load_task(Path(study.out) / "labels", study.compare)
    check_not_taught("last", last, task)
    with pytest.raises(StackbertError, match="last: was taught mysql, which are labels here"):
        check_not_taught("last", last, replace(task, labels=("c++", "mysql")))


def test_the_mlm_head_goes_through_a_phase_of_tags(finished):
    _, compared = finished
    last = Path(compared["masks, tags, masks"])
    masks, tags, again = (load_checkpoint(folder) for folder in (Path(compared["masks"]), last.parent / "2-tags", last))
    assert masks.has_mlm_head and tags.has_mlm_head and again.has_mlm_head
    heads = [{name: array for name, array in each.weights.items() if name.startswith("mlm/")} for each in (masks, tags)]
    assert heads[0] and all((heads[0][name] == heads[1][name]).all() for name in heads[0])
    notes = load_manifest(last).counts["notes"]
    assert not [note for note in notes if "no MLM head" in note]


def test_a_study_continues_with_the_phase_that_is_missing(finished, monkeypatch, capsys):
    study, compared = finished
    monkeypatch.setattr("finetune.compare.compare.compare", lambda *_: None)
    last = Path(compared["masks, tags, masks"])
    before = fingerprint(last)
    shutil.rmtree(last)
    run_study(study)
    assert fingerprint(last) == before
    _, *stages = capsys.readouterr().out.split("\n== ")
    begun = [stage.splitlines()[0] for stage in stages if "already finished" not in stage]
    assert len([line for line in begun if "pretraining" in line]) == 1


def test_a_plan_has_each_phase_once(finished, monkeypatch):
    study, _ = finished
    monkeypatch.setattr("stackbert.plan.ComparisonPlan", lambda *_: _NoStages())
    plan = plan_study(study, StudyPlanConfig())
    tags = [note.split(" on ")[0] for note in plan.notes if "outside the labels" in note]
    assert tags == [
        f"pretrained/{name}: 2 tags outside the labels" for name in ("masks, tags, masks/2-tags", "tags/1-tags")
    ]
    assert [stage.name for stage in plan.stages] == [
        "corpora/posts",
        "labels",
        "rows/masks/1-masked_lm",
        "rows/masks, tags, masks/2-tags",
        "pretrained/masks/1-masked_lm",
        "pretrained/masks, tags, masks/2-tags",
        "pretrained/masks, tags, masks/3-masked_lm",
        "pretrained/tags/1-tags",
    ]


class _NoStages:
    def stages(self, *_: object) -> list:
        return []
