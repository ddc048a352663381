"""Splits by time; and the number of processes changes no output."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from corpora.build.build import STAGE
from corpora.config import LabelConfig
from corpora.labels.label import PRETRAINING, build_labels
from corpora.labels.splits import moment
from corpora.post import Post, read_posts, write_posts
from stackbert.core.artifact import build_artifact
from stackbert.core.errors import StackbertError
from tests.corpora.planted import disguises, link_to_plants
from tests.corpora.questions import LABELS, ids, question, tagged_questions, write_corpus

TIME = replace(LABELS, split="time")


def dated(posts: Sequence[Post]) -> list[Post]:
    """Give the posts dates, four per day, in an order that is not chronological."""
    return [
        replace(post, created=f"20{10 + day // 336:02}-{1 + day // 28 % 12:02}-{1 + day % 28:02}T12:00:00")
        for post, day in zip(posts, ((number * 7 % len(posts)) // 4 for number in range(len(posts))), strict=True)
    ]


def test_time_split_trains_on_the_past_and_tests_on_the_future(tmp_path: Path) -> None:
    posts = dated(tagged_questions(401))
    created = {post.id: post.created or "" for post in posts}
    manifest = build_labels([write_corpus(tmp_path / "c", posts)], tmp_path / "out", TIME)
    train, dev, test = ([created[name] for name in ids(tmp_path / "out", split)] for split in ("train", "dev", "test"))
    assert max(train) < min(dev) <= max(dev) < min(test)
    labelled = manifest.counts["labelled"]["kept"]
    assert 0.19 < len(test) / labelled < 0.23 and 0.07 < len(dev) / labelled < 0.13  # whole days stay together
    read = list(read_posts(tmp_path / "out" / PRETRAINING))
    assert max(created[post.id] for post in read) < min(dev)
    assert manifest.counts[PRETRAINING]["dropped"]["future"] > 0
    assert manifest.counts["borders"] == {
        "dev_from": f"{min(dev)}.000000+00:00", "test_from": f"{min(test)}.000000+00:00"
    }  # fmt: skip


def test_time_split_has_no_contamination(tmp_path: Path) -> None:
    """Copies and answers that are older than a test question are removed, too."""
    posts = dated(tagged_questions(400))
    build_labels([write_corpus(tmp_path / "c", posts)], tmp_path / "clean", TIME)
    evaluation = [post for post in posts if post.id in ids(tmp_path / "clean", "test", "dev")]
    plants = [
        replace(plant, created="2009-01-01")
        for post in evaluation
        for plant in disguises(post, post.text.split("\n\n")[1]).values()
    ]
    linked = {post.id: post for post in link_to_plants(evaluation)}
    source = write_corpus(tmp_path / "d", [linked.get(post.id, post) for post in posts] + plants)
    manifest = build_labels([source], tmp_path / "out", TIME)
    assert ids(tmp_path / "out", "test", "dev") == set(linked)
    read = {post.id for post in read_posts(tmp_path / "out" / PRETRAINING)}
    assert not read & {*linked, *(plant.id for plant in plants)}
    assert len(read) == manifest.counts[PRETRAINING]["kept"] > 200


def test_posts_without_a_date_are_counted(tmp_path: Path) -> None:
    posts = [*dated(tagged_questions(400)), question(900), replace(question(901), created="yesterday")]
    manifest = build_labels([write_corpus(tmp_path / "c", posts)], tmp_path / "out", TIME)
    assert manifest.counts["labelled"]["dropped"]["no_date"] == 2
    assert manifest.counts[PRETRAINING]["dropped"]["no_date"] == 2
    with pytest.raises(
        StackbertError, match=r"none of the 30 labelled posts has one; name the column of dates \(date_column\)"
    ):
        build_labels([write_corpus(tmp_path / "d", tagged_questions(40))], tmp_path / "none", TIME)


def test_posts_of_the_same_date_are_in_the_same_split(tmp_path: Path) -> None:
    posts = [replace(post, created=f"20{10 + number % 10}-01-01") for number, post in enumerate(tagged_questions(400))]
    build_labels([write_corpus(tmp_path / "c", posts)], tmp_path / "out", TIME)
    years = [{int(name) % 10 for name in ids(tmp_path / "out", split)} for split in ("train", "dev", "test")]
    # Even years have 40 labelled posts, odd years 20: the 30 posts of dev begin in year 6.
    assert years == [{0, 1, 2, 3, 4, 5}, {6, 7}, {8, 9}]


def test_dates_with_and_without_zone_and_time_are_comparable() -> None:
    assert moment("2020-01-01") == moment("2020-01-01T00:00:00Z") == moment("2020-01-01 02:00:00+02:00")
    assert moment("2020-01-01T00:00:00.001") - moment("2020-01-01") == 1_000


def test_test_posts_are_those_of_the_day_or_later(tmp_path: Path) -> None:
    posts = dated(tagged_questions(401))
    days = sorted(post.created or "" for post in posts)
    start, undated = days[300][:10], [question(900), question(901), question(902)]
    corpus = write_corpus(tmp_path / "c", [*posts, *undated])
    manifest = build_labels([corpus], tmp_path / "out", replace(LABELS, test_from=start, processes=1))
    created = {post.id: post.created or "" for post in [*posts, *undated]}
    train, dev, test = ([created[name] for name in ids(tmp_path / "out", split)] for split in ("train", "dev", "test"))
    assert min(test) >= start > max(train) and start > max(dev)
    older = len(train) + len(dev)
    assert 0.05 < len(dev) / older < 0.2  # dev_share of what is older, by hash
    assert "" in train + dev, "a post without a date is not in test, and is not lost"
    assert "" not in test
    read = [created[post.id] for post in read_posts(tmp_path / "out" / PRETRAINING)]
    assert max(read) < start and "" in read
    assert manifest.counts["borders"] == {"test_from": f"{start}T00:00:00.000000+00:00"}
    assert manifest.counts["dates"]["unknown"] == 3 and manifest.counts["dates"]["known"] > 250
    assert manifest.config["test_from"] == start


def test_first_day_of_test_and_dev_by_time_go_together(tmp_path: Path) -> None:
    posts = dated(tagged_questions(401))
    start = sorted(post.created or "" for post in posts)[300][:10]
    manifest = build_labels([write_corpus(tmp_path / "c", posts)], tmp_path / "out", replace(TIME, test_from=start))
    created = {post.id: post.created or "" for post in posts}
    train, dev, test = ([created[name] for name in ids(tmp_path / "out", split)] for split in ("train", "dev", "test"))
    assert max(train) < min(dev) <= max(dev) < start <= min(test)
    assert list(manifest.counts["borders"]) == ["dev_from", "test_from"]
    assert max(created[post.id] for post in read_posts(tmp_path / "out" / PRETRAINING)) < min(dev)


def test_copies_of_later_test_posts_are_not_learned_from(tmp_path: Path) -> None:
    posts = dated(tagged_questions(400))
    start = sorted(post.created or "" for post in posts)[300][:10]
    later = [post for post in posts if (post.created or "") >= start]
    copies = [replace(post, id=f"copy-{post.id}", created="2009-01-01") for post in later]
    source = write_corpus(tmp_path / "c", [*posts, *copies])
    build_labels([source], tmp_path / "out", replace(LABELS, test_from=start))
    test = {name.removeprefix("copy-") for name in ids(tmp_path / "out", "test")}
    others = {name.removeprefix("copy-") for name in ids(tmp_path / "out", "train", "dev")}
    read = {post.id.removeprefix("copy-") for post in read_posts(tmp_path / "out" / PRETRAINING)}
    assert test and not test & (others | read)


@pytest.mark.parametrize(
    ("start", "undated", "message"),
    [
        ("2010-01-01", 301, "74 of 300 labelled posts have a date; name the column of dates .date_column."),
        ("2031-01-01", 0, "0 of 300 labelled posts are of that day or later; their dates go from 2010-01-01 to 2010-"),
        ("2001-01-01", 0, "300 of 300 labelled posts are of that day or later"),
    ],
)
def test_day_that_does_not_divide_the_posts_is_an_error(start: str, undated: int, message: str, tmp_path: Path) -> None:
    posts = [post if int(post.id) >= undated else replace(post, created=None) for post in dated(tagged_questions(400))]
    with pytest.raises(StackbertError, match=f"test_from {start}: .*{message}"):
        build_labels([write_corpus(tmp_path / "c", posts)], tmp_path / "out", replace(LABELS, test_from=start))


def test_day_that_is_no_date_is_an_error() -> None:
    with pytest.raises(StackbertError, match="'June 2021' is not an ISO date; write it as 2021-06-01"):
        LabelConfig(test_from="June 2021")


def test_linked_duplicates_are_never_in_two_splits(tmp_path: Path) -> None:
    posts = tagged_questions(400)
    linked = [replace(post, duplicate_of=(posts[number - 1].id,)) for number, post in enumerate(posts)]
    build_labels([write_corpus(tmp_path / "c", linked)], tmp_path / "out", LABELS)
    test = {int(name) for name in ids(tmp_path / "out", "test")}
    dev = {int(name) for name in ids(tmp_path / "out", "dev")}
    train = {int(name) for name in ids(tmp_path / "out", "train")}
    read = {int(post.id) for post in read_posts(tmp_path / "out" / PRETRAINING)}
    for earlier, later in ((test, dev), (test | dev, train), (test | dev, read)):
        assert not later & {(number + step) % 400 for number in earlier for step in (-1, 0, 1)}


@pytest.mark.usefixtures("worker_pool")
def test_any_number_of_processes_gives_the_same_bytes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("stackbert.core.workers.SMALL_BYTES", 0)

    def work(out: Path) -> dict[str, int]:
        posts = dated(tagged_questions(400))
        for number in range(5):  # enough shards for map_in_order to start processes
            write_posts(posts[number::5], out / "shard")
            (out / "shard" / "posts-00000.parquet").rename(out / f"posts-{number:05d}.parquet")
        (out / "shard").rmdir()
        return {"kept": 400}

    build_artifact(tmp_path / "c", STAGE, LABELS, {}, work)
    one = build_labels([tmp_path / "c"], tmp_path / "one", replace(TIME, processes=1))
    two = build_labels([tmp_path / "c"], tmp_path / "two", replace(TIME, processes=2))
    assert one.files == two.files and one.counts == two.counts
    assert (
        build_labels([tmp_path / "c"], tmp_path / "one", replace(TIME, processes=3)) == one
    )  # the finished output is reused
