"""The audit counts planted contamination under its kind, and finds none in a clean text."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from corpora.commands import audit as corpora_audit
from corpora.contamination.audit import KINDS, audit
from corpora.labels.label import PRETRAINING, build_labels
from corpora.post import write_posts
from stackbert.core.errors import StackbertError
from tests.corpora.planted import (
    ANSWER,
    CODE,
    EDITED,
    EXACT,
    LINKED,
    LINKING,
    QUOTED,
    RECASED,
    REWRAPPED,
    disguises,
    link_to_plants,
    plant_id,
)
from tests.corpora.questions import LABELS, ids, question, tagged_questions, write_corpus

KIND_OF = {
    EXACT: "exact", RECASED: "text", REWRAPPED: "text", CODE: "fragment", LINKED: "link", LINKING: "link",
    ANSWER: "answer", QUOTED: "ngrams", EDITED: "ngrams",
}  # fmt: skip


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    build_labels([write_corpus(folder / "corpus", link_to_plants(tagged_questions(300)))], folder / "labels", LABELS)
    return folder


def test_our_output_has_no_contamination(labelled: Path, capsys) -> None:
    found = audit(labelled / "labels", labelled / "labels")
    assert found.total == 0 and found.posts > 200
    assert found.evaluation_posts == {split: len(ids(labelled / "labels", split)) for split in ("test", "dev")}
    corpora_audit(labelled / "labels", labelled / "labels", strict=True)
    assert "the post itself, by id" in capsys.readouterr().out


def test_planted_posts_are_counted_by_kind_and_split(labelled: Path, tmp_path: Path) -> None:
    evaluation = {split: ids(labelled / "labels", split) for split in ("test", "dev")}
    everywhere = evaluation["test"] | evaluation["dev"]
    questions = [post for post in tagged_questions(300) if post.id in everywhere]
    plants = [plant for post in questions for plant in disguises(post, post.text.split("\n\n")[1]).values()]
    write_posts([*plants, *(question(number, (), "clean") for number in range(50)), *questions], tmp_path / "posts")
    found = audit(tmp_path / "posts", labelled / "labels", tmp_path / "audit.json")
    for split, names in evaluation.items():
        counts = {kind: len(names) * sum(name == kind for name in KIND_OF.values()) for kind in KINDS}
        assert found.counts[split] == counts | {"id": len(names)}
        for match in found.examples[split]:
            assert match.evaluation_post in names
            assert match.kind == "id" or any(
                match.post == plant_id(kind, match.evaluation_post)
                for kind, name in KIND_OF.items()
                if name == match.kind
            )
    report = json.loads((tmp_path / "audit.json").read_text())
    assert report["counts"] == found.counts and report["total"] == found.total == 10 * len(everywhere)


def test_the_corpus_that_a_set_was_made_from_contaminates_it(labelled: Path, capsys) -> None:
    found = audit(labelled / "corpus", labelled / "labels")
    assert found.counts["test"]["id"] == len(ids(labelled / "labels", "test"))
    corpora_audit(labelled / "corpus", labelled / "labels")
    with pytest.raises(SystemExit, match="1"):
        corpora_audit(labelled / "corpus", labelled / "labels", strict=True)


def test_a_set_made_by_hand_needs_ids_and_texts_alone(tmp_path: Path, capsys) -> None:
    posts = [question(number) for number in range(20)]
    shouted = replace(posts[3], id="\x1b[31mred", title=posts[3].title.upper(), text=posts[3].text.upper())
    write_posts([shouted, *posts[10:]], tmp_path / "posts")
    rows = [{"id": number, "text": post.whole_text} for number, post in enumerate(posts[:10], 1_000)]
    (tmp_path / "set").mkdir()
    pd.DataFrame(rows).to_parquet(tmp_path / "set" / "test.parquet")
    found = audit(tmp_path / "posts", tmp_path / "set")
    assert found.counts == {"test": dict.fromkeys(KINDS, 0) | {"text": 1}}
    assert "test 1003: text in [31mred" in str(found) and "\x1b" not in str(found)


def test_what_cannot_be_audited_is_an_error(labelled: Path, tmp_path: Path) -> None:
    with pytest.raises(StackbertError, match=r"holds neither test\.parquet nor dev\.parquet"):
        audit(labelled / "corpus", labelled / "labels" / PRETRAINING)
    with pytest.raises(StackbertError, match=r"holds no posts-\*\.parquet"):
        audit(tmp_path, labelled / "labels")
    pd.DataFrame({"id": ["1"]}).to_parquet(tmp_path / "test.parquet")
    with pytest.raises(StackbertError, match="needs the columns id and text; it has id"):
        audit(labelled / "corpus", tmp_path)
