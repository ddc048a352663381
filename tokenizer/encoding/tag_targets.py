"""The tags that a text is given to predict: those outside the label set, so that no label is taught."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from corpora.labels.corpus_shards import weighted_shards
from corpora.labels.labelled_set import label_names
from corpora.post_columns import count_tags
from stackbert.core.artifact import load_manifest, write_json
from stackbert.core.errors import StackbertError
from tokenizer.config import EncodeConfig

TARGETS_FILE = "targets.json"
LABEL_STAGE = "corpora label"


def choose_target_tags(labelled_set: Path, config: EncodeConfig) -> dict[str, int]:
    """Tag -> number of its pretraining posts, for the tags that may be predicted; the most frequent first.

    Labels are left out whatever their case, and with `config.leave_out_variants` also the tags that contain a label.
    Raises StackbertError where the posts have fewer than two such tags, or are no labelled set: only its pretraining
    text is known to be free of test posts.
    """
    require_labelled_set(labelled_set, "tags")
    labels = label_names(labelled_set)
    counts = count_tags(list(weighted_shards(labelled_set, config.weights)))
    found = {
        tag: posts
        for tag, posts in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
        if posts >= config.min_tag_posts and not _is_taboo(tag, labels, config.leave_out_variants)
    }
    if len(found) < 2:
        raise StackbertError(
            f"{labelled_set}: {len(found)} tags outside its {len(labels)} labels stand on {config.min_tag_posts:,} "
            "posts or more, and two are needed to predict one; lower min_tag_posts, take fewer labels, or use another "
            "objective"
        )
    return found


def require_labelled_set(posts: Path, targets: str) -> None:
    """Raise StackbertError where `posts` are no labelled set: their test posts could be taught."""
    if load_manifest(posts).stage != LABEL_STAGE:
        raise StackbertError(
            f"{posts}: targets '{targets}' needs a labelled set, whose labels and test posts are left out; make one "
            f"with 'stackbert {LABEL_STAGE}'"
        )


def contains_label(tag: str, label: str) -> bool:
    """Whether a tag contains a label's name as a word, in any case.

    >>> contains_label("python-2.7", "python"), contains_label("javascript", "java"), contains_label("c++11", "c++")
    (True, False, True)
    """
    before, after = (r"(?<![^\W\d_])", r"(?![^\W\d_])")
    return re.search(before + re.escape(label) + after, tag, re.IGNORECASE) is not None


def _is_taboo(tag: str, labels: Sequence[str], with_variants: bool) -> bool:
    if with_variants:
        return any(contains_label(tag, label) for label in labels)
    return tag.casefold() in {label.casefold() for label in labels}


def save_targets(tags: Mapping[str, int], path: Path) -> None:
    """Write the tags; a target's id is its index."""
    write_json(path, [{"name": name, "posts": posts} for name, posts in tags.items()])


def load_targets(path: Path) -> tuple[str, ...]:
    """The names of the targets, in the order of their ids."""
    return tuple(entry["name"] for entry in json.loads(path.read_text("utf-8")))
