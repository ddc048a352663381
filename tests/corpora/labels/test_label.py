"""The stage 'corpora label': labels and splits, and no contamination of the test set."""

import json
import random
import textwrap
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corpora.config import LabelConfig
from corpora.labels.label import PRETRAINING, build_labels, choose_labels
from corpora.labels.labelled_set import LabelError, load_labelled
from corpora.post import Post, read_posts
from stackbert.core.errors import StackbertError
from tests.corpora.questions import LABELS, ids, question, sentence, tagged_questions, write_corpus


def test_labels_are_the_most_frequent_tags_with_ties_by_name() -> None:
    assert choose_labels(Counter(bar=2, abz=2, z=9, rare=1), LABELS) == ("z", "abz", "bar")


def test_split_targets_and_counts(tmp_path: Path) -> None:
    posts = tagged_questions(400)
    manifest = build_labels([write_corpus(tmp_path / "c", posts)], tmp_path / "out", LABELS)
    entries = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert [(entry["name"], entry["posts"]) for entry in entries] == [("a", 200), ("b", 100), ("c", 100)]
    assert manifest.counts["labelled"] == {"read": 400, "kept": 300, "dropped": {"other_tags": 100}}
    splits = {name: load_labelled(tmp_path / "out", name) for name in ("train", "dev", "test")}
    assert sum(len(split.ids) for split in splits.values()) == len(ids(tmp_path / "out", *splits)) == 300
    assert 35 < len(splits["test"].ids) < 90 and 15 < len(splits["dev"].ids) < 50
    for name, split in splits.items():
        assert [entry[name] for entry in entries] == split.targets.sum(0).tolist()
        for post_id, text, target in zip(split.ids, split.texts, split.targets, strict=True):
            post = posts[int(post_id)]
            assert text == post.whole_text
            assert target.tolist() == [int(label in post.tags) for label in "abc"]


def test_texts_stay_with_their_ids_across_corpora_and_batches(tmp_path: Path) -> None:
    posts = tagged_questions(5_000)
    build_labels(
        [write_corpus(tmp_path / "c", posts[:2_400]), write_corpus(tmp_path / "d", posts[2_400:])],
        tmp_path / "out",
        LABELS,
    )
    for name in ("train", "dev", "test"):
        split = load_labelled(tmp_path / "out", name)
        assert split.texts == [posts[int(post_id)].whole_text for post_id in split.ids]
        assert split.targets[:, 0].tolist() == [int("a" in posts[int(post_id)].tags) for post_id in split.ids]


def test_a_posts_split_depends_on_its_id_alone(tmp_path: Path) -> None:
    build_labels([write_corpus(tmp_path / "c", tagged_questions(200))], tmp_path / "small", LABELS)
    build_labels([write_corpus(tmp_path / "d", tagged_questions(400)[::-1])], tmp_path / "large", LABELS)
    for split in ("train", "dev", "test"):
        assert ids(tmp_path / "small", split) < ids(tmp_path / "large", split)
    build_labels([tmp_path / "c"], tmp_path / "other", replace(LABELS, seed=1))
    assert ids(tmp_path / "small", "test") != ids(tmp_path / "other", "test")


def test_maxima_give_nested_subsets_and_the_rest_is_counted(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "c", tagged_questions(400))
    full = build_labels([source], tmp_path / "full", LABELS)
    less = build_labels([source], tmp_path / "less", replace(LABELS, max_train=40, max_dev=5, max_test=10))
    least = build_labels([source], tmp_path / "least", replace(LABELS, max_train=20, max_dev=5, max_test=10))
    assert ids(tmp_path / "least", "train") < ids(tmp_path / "less", "train") < ids(tmp_path / "full", "train")
    assert less.counts["train"]["kept"] == 40 and least.counts["train"]["kept"] == 20
    assert less.counts["train"]["dropped"]["over_maximum"] == full.counts["train"]["kept"] - 40
    assert less.counts["test"]["kept"] == 10
    build_labels(
        [write_corpus(tmp_path / "d", tagged_questions(400)[::-1])], tmp_path / "order", LabelConfig(3, max_train=40)
    )
    assert ids(tmp_path / "order", "train") == ids(tmp_path / "less", "train")


def test_rebuilding_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "c", tagged_questions(200))
    assert build_labels([source], tmp_path / "a", LABELS).files == build_labels([source], tmp_path / "b", LABELS).files


def test_planted_test_questions_never_reach_pretraining_or_train(tmp_path: Path) -> None:
    """Exact, re-cased and re-wrapped copies, titles, bodies, code and answers are all removed; clean posts stay."""
    build_labels([write_corpus(tmp_path / "c", tagged_questions(700))], tmp_path / "clean", LABELS)
    evaluation = [post for post in tagged_questions(700) if post.id in ids(tmp_path / "clean", "test", "dev")]
    plants = [
        plant
        for post in evaluation
        for plant in (
            replace(post, id=f"exact-{post.id}"),
            replace(post, id=f"case-{post.id}", title=post.title.upper(), text=post.text.upper()),
            replace(post, id=f"wrap-{post.id}", text=textwrap.fill(post.text, 40)),
            replace(post, id=f"body-{post.id}", title="", tags=()),
            replace(post, id=f"title-{post.id}", text="An entirely different text under the same title.", tags=()),
            replace(post, id=f"code-{post.id}", title="Other", text=post.text.split("\n\n")[1], tags=()),
            Post(f"answer-{post.id}", "answer", "", sentence(random.Random(post.id), 9), parent_id=post.id),
        )
    ]
    others = [question(number, (), "clean") for number in range(2_000)]
    planted = write_corpus(tmp_path / "planted", plants + others)
    manifest = build_labels([tmp_path / "c", planted], tmp_path / "out", LABELS)
    assert ids(tmp_path / "out", "test", "dev") == {post.id for post in evaluation}
    read = {post.id for post in read_posts(tmp_path / "out" / PRETRAINING)}
    assert not read & {plant.id for plant in plants}
    assert not read & {post.id for post in evaluation}
    assert not ids(tmp_path / "out", "train") & {plant.id for plant in plants}
    assert {post.id for post in others} <= read  # no false removal
    assert manifest.counts[PRETRAINING]["dropped"]["contamination_answer"] == len(evaluation)
    assert manifest.counts[PRETRAINING]["kept"] == len(read) == 700 - len(evaluation) + 2_000


def test_equal_titles_with_other_ids_are_never_in_two_splits(tmp_path: Path) -> None:
    originals = tagged_questions(400)
    copies = [
        replace(post, id=f"copy-{post.id}", text=question(int(post.id), prefix="other").text) for post in originals
    ]
    manifest = build_labels([write_corpus(tmp_path / "c", originals + copies)], tmp_path / "out", LABELS)
    titles = {
        split: {text.split("\n")[0] for text in load_labelled(tmp_path / "out", split).texts}
        for split in ("train", "dev", "test")
    }
    assert (
        not titles["train"] & titles["test"]
        and not titles["dev"] & titles["test"]
        and not titles["train"] & titles["dev"]
    )
    assert manifest.counts["train"]["dropped"]["contamination_text"] > 50
    assert manifest.counts["dev"]["dropped"]["contamination_text"] > 5


def test_one_question_in_two_tables_counts_once(tmp_path: Path) -> None:
    full = tagged_questions(300)
    titles_only = [replace(post, text="") for post in full]
    both = [write_corpus(tmp_path / "full", full), write_corpus(tmp_path / "titles", titles_only)]
    manifest = build_labels(both, tmp_path / "out", LABELS)
    assert manifest.counts["labelled"]["dropped"]["duplicate"] == 225
    assert all("\n" in text for text in load_labelled(tmp_path / "out", "test").texts)  # the first corpus's


def test_duplicates_across_corpora_are_kept_once(tmp_path: Path) -> None:
    posts = tagged_questions(200)
    upper = [replace(post, id=f"upper-{post.id}", title=post.title.upper()) for post in posts]
    manifest = build_labels(
        [write_corpus(tmp_path / "a", posts), write_corpus(tmp_path / "b", upper)], tmp_path / "out", LABELS
    )
    counts = manifest.counts[PRETRAINING]
    assert counts["read"] == 400 == counts["kept"] + sum(counts["dropped"].values())
    assert counts["dropped"]["duplicate"] == counts["kept"]


def test_every_balance_adds_up(tmp_path: Path) -> None:
    manifest = build_labels([write_corpus(tmp_path / "c", tagged_questions(300))], tmp_path / "out", LABELS)
    counts = manifest.counts
    for name in ("labelled", "train", "dev", "test", PRETRAINING):
        balance = counts[name]
        assert balance["read"] == balance["kept"] + sum(balance["dropped"].values())
    assert counts["labelled"]["kept"] == sum(counts[split]["read"] for split in ("train", "dev", "test"))
    assert counts[PRETRAINING]["kept"] == len(list(read_posts(tmp_path / "out" / PRETRAINING)))


def test_misc_labels_the_other_tagged_posts(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "c", [*tagged_questions(200), question(999, ())])
    manifest = build_labels([source], tmp_path / "out", replace(LABELS, misc=True))
    assert manifest.counts["labelled"] == {"read": 201, "kept": 200, "dropped": {"no_tags": 1}}
    train = load_labelled(tmp_path / "out", "train")
    assert train.targets.shape[1] == 4
    assert train.targets[:, 3].tolist() == [int(int(post_id) % 4 == 3) for post_id in train.ids]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (LabelConfig(labels=("a", "bb")), "no post has the tag 'bb'; nearest is 'b'"),
        (LabelConfig(labels=("a", "a")), "'a' is named twice"),
        (LabelConfig(labels=("a", " ")), "label 2 is empty"),
        (LabelConfig(num_labels=5), "have 4 tags, fewer than num_labels 5"),
        (LabelConfig(labels=("misc",), misc=True), "set misc to false"),
    ],
)
def test_invalid_labels_are_errors(tmp_path: Path, config: LabelConfig, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        build_labels([write_corpus(tmp_path / "c", tagged_questions(40))], tmp_path / "out", config)


def test_a_corpus_without_tags_or_too_few_posts_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="no post has tags"):
        build_labels([write_corpus(tmp_path / "none", [question(1, ())])], tmp_path / "out", LABELS)
    with pytest.raises(StackbertError, match=r"split '\w+' is empty: labelled: read 1 = kept 1"):
        build_labels([write_corpus(tmp_path / "one", [question(1)])], tmp_path / "out", LabelConfig(num_labels=1))
    with pytest.raises(StackbertError, match="at least one corpus"):
        build_labels([], tmp_path / "out", LABELS)


@pytest.mark.parametrize("options", [{"num_labels": 0}, {"dev_share": 0.5, "test_share": 0.5}, {"max_dev": -1}])
def test_invalid_options_are_errors(options: dict[str, Any]) -> None:
    with pytest.raises(StackbertError):
        LabelConfig(**options)
