"""Which shards of the pretraining text are whose."""

import json
from pathlib import Path

import pytest

from corpora.config import LabelConfig
from corpora.labels.corpus_shards import corpus_shards, weighted_shards
from corpora.labels.label import build_labels
from corpora.post import PRETRAINING, Post, read_posts, shards, write_posts
from stackbert.core.artifact import MANIFEST, build_artifact
from stackbert.core.errors import StackbertError

LABELS = LabelConfig(labels=("a", "b"), dev_share=0.2, test_share=0.2)


def build(folder: Path, corpora: dict[str, list[list[Post]]]) -> Path:
    """A labelled set of corpora, each a list of shards."""

    def write(out: Path, parts: list[list[Post]]) -> dict[str, int]:
        for number, posts in enumerate(parts):
            write_posts(posts, out / "new")
            (out / "new" / "posts-00000.parquet").rename(out / f"posts-{number:05d}.parquet")
        (out / "new").rmdir()
        return {}

    for name, parts in corpora.items():
        build_artifact(folder / name, "corpora build", {}, {}, lambda out, parts=parts: write(out, parts))
    build_labels([folder / name for name in corpora], folder / "labels", LABELS)
    return folder / "labels"


def posts(name: str, count: int = 40, tags: tuple[str, ...] = ()) -> list[Post]:
    return [
        Post(
            f"{name}{number}", "question", f"{name} asks {number} to {number * 7 % 41}", "", tags or ("ab"[number % 2],)
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """Three corpora; nothing of the second's only shard is kept, as it repeats the first's."""
    first = posts("one")
    corpora = {"one": [first, posts("more")], "twice": [first], "other": [posts("far", tags=("z",))]}
    return build(tmp_path_factory.mktemp("labelled"), corpora)


def test_each_shard_is_that_of_its_corpus(labelled):
    found = corpus_shards(labelled)
    assert list(found) == ["one", "twice", "other"]
    assert [path for paths in found.values() for path in paths] == shards(labelled / PRETRAINING)
    assert [path.name for path in found["other"]] == ["posts-00003.parquet"]
    assert found["twice"] == [] and len(found["one"]) == 2
    names = {post.id.rstrip("0123456789") for post in read_posts(labelled / PRETRAINING)}
    assert names == {"one", "more", "far"}


def test_shards_are_read_with_the_weights_of_their_corpora(labelled):
    every = shards(labelled / PRETRAINING)
    assert weighted_shards(labelled, {}) == dict.fromkeys(every, 1.0)
    found = corpus_shards(labelled)
    chosen = weighted_shards(labelled, {"other": 0.5, "one": 0.0})
    assert chosen == {found["other"][0]: 0.5}
    assert list(weighted_shards(labelled, {"other": 0.5, "one": 1.0})) == every, "in the order of the text"


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"oter": 1.0}, "has no corpus 'oter'; nearest is 'other'; it has one, twice, other"),
        ({"twice": 1.0}, "no pretraining text of twice was kept"),
    ],
)
def test_corpora_that_give_no_text_are_refused(weights, message, labelled):
    with pytest.raises(StackbertError, match=message):
        weighted_shards(labelled, weights)


def test_one_corpus_has_no_weights(labelled):
    with pytest.raises(StackbertError, match="this is one corpus; leave them out"):
        weighted_shards(labelled.parent / "one", {"one": 0.5})


def test_corpora_of_one_name_and_sets_of_earlier_versions_cannot_be_weighed(labelled, tmp_path):
    manifest = json.loads((labelled / MANIFEST).read_text("utf-8"))
    recorded = manifest["counts"].pop("corpora")
    (tmp_path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(StackbertError, match="does not record its corpora"):
        weighted_shards(tmp_path, {"one": 1.0})
    manifest["counts"]["corpora"] = [recorded[0], *recorded]
    (tmp_path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(StackbertError, match="two of its corpora are called one"):
        weighted_shards(tmp_path, {"one": 1.0})
