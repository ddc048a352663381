"""Pairs of texts of related posts: a question and its accepted answer, a question and what it is a duplicate of.

The posts of a pair may be in different shards. An answer has its question's title, so that only which answers were
accepted is gathered first, as keys; of the questions that others duplicate, the titles are gathered, too. Both posts
must be in the shards: a post that was left out of a text, as contamination or as a duplicate, is in none of its pairs.
"""

# A accepted answers, D questions that others are duplicates of

import hashlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpora.arrays import Keys
from corpora.post import Post
from corpora.post_columns import site_of
from stackbert.core.errors import StackbertError
from stackbert.core.progress import Progress

PairSource = Literal["title-body", "answers", "duplicates"]

LINK_COLUMNS = ("parent_id", "url", "duplicate_of")
"""Columns of a post that its pairs are found by, besides id, kind and texts."""

_POSTS_PER_BATCH = 5_000
_ACCEPTED, _KEYS, _TITLES = "accepted.npy", "originals.npy", "titles.arrow"
_TITLE_SCHEMA = pa.schema([("title", pa.large_string())])


class TextPair(NamedTuple):
    """Two texts that belong together."""

    source: PairSource
    post_ids: tuple[str, ...]
    """Of the posts that the texts are of; a question's first."""
    title: str
    """The question's or document's title."""
    text: str
    """The body, the accepted answer, or the other question's title."""

    @property
    def whole_text(self) -> str:
        """Both texts on separate lines."""
        return f"{self.title}\n{self.text}"


@dataclass(frozen=True, eq=False)
class PairLinks:
    """What pairs the posts of a text: small beside it, and memory-mapped."""

    accepted_A: Keys
    """Keys of accepted answers, ascending: of site, question, answer and title."""
    originals_D: Keys
    """Keys of the questions that others are duplicates of, ascending: of site and question."""
    titles: pa.Array
    """Their titles, D of them."""

    def pairs(self, post: Post) -> Iterator[TextPair]:
        """The pairs of an answer with its question, and of a question with those that it is a duplicate of."""
        if not (post.title.strip() and post.kind in ("question", "answer")):
            return
        site = site_of(post.url)
        if post.kind == "answer":
            question = post.parent_id or ""
            if post.text.strip() and _find(self.accepted_A, _key(site, question, post.id, post.title)) is not None:
                yield TextPair("answers", (question, post.id), post.title, post.text)
            return
        for original in post.duplicate_of:
            number = _find(self.originals_D, _key(site, original))
            if number is not None:
                yield TextPair("duplicates", (post.id, original), post.title, self.titles[number].as_py())


def save_pair_links(paths: Sequence[Path], sources: Sequence[PairSource], folder: Path) -> Path:
    """Gather the links between the posts of some shards, and write them to `folder`; returns it.

    Memory holds 8 bytes for each question with an accepted answer, and a key and the title of each question that others
    are duplicates of. Raises StackbertError where the shards have no links of one of the `sources`.
    """
    accepted_A = _accepted_answers(paths) if "answers" in sources else np.zeros(0, np.uint64)
    originals = _originals(paths) if "duplicates" in sources else {}
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / _ACCEPTED, accepted_A)
    np.save(folder / _KEYS, np.array(list(originals), np.uint64))
    titles = pa.table([pa.array(originals.values(), pa.large_string())], schema=_TITLE_SCHEMA)
    with pa.OSFile(str(folder / _TITLES), "wb") as sink, pa.ipc.new_file(sink, _TITLE_SCHEMA) as writer:
        writer.write_table(titles.combine_chunks())
    return folder


def open_pair_links(folder: Path) -> PairLinks:
    """The links that save_pair_links wrote, memory-mapped."""
    with pa.memory_map(str(folder / _TITLES)) as source:
        titles = pa.ipc.open_file(source).read_all().column("title").combine_chunks()
    accepted_A, originals_D = (np.load(folder / name, mmap_mode="r") for name in (_ACCEPTED, _KEYS))
    return PairLinks(accepted_A, originals_D, titles)


def _accepted_answers(paths: Sequence[Path]) -> Keys:
    """Keys, ascending, of the answers that questions of the shards accepted, whether or not the shards have them."""
    _require_column(paths, "accepted_answer_id")
    keys, num_answers = array("Q"), 0
    for batch in _batches(paths, ["kind", "id", "title", "url", "accepted_answer_id"], "finding accepted answers"):
        num_answers += pc.sum(pc.equal(batch["kind"], "answer")).as_py() or 0
        questions = batch.filter(pc.and_(pc.equal(batch["kind"], "question"), batch["accepted_answer_id"].is_valid()))
        for row in questions.to_pylist():
            keys.append(_key(site_of(row["url"]), row["id"], row["accepted_answer_id"], row["title"]))
    if not (keys and num_answers):
        found = f"no answers among its {_count(paths):,} posts" if not num_answers else "no question with one"
        raise StackbertError(
            f"{paths[0].parent}: pair_sources 'answers' needs answers and which of them were accepted, and this text "
            f"has {found}. Dumps have both; build the corpus from one, or leave 'answers' out"
        )
    return np.unique(np.asarray(keys, np.uint64))


def _originals(paths: Sequence[Path]) -> dict[int, str]:
    """Key -> title of the questions of the shards that others are duplicates of, by key."""
    _require_column(paths, "duplicate_of")
    wanted = array("Q")
    for batch in _batches(paths, ["kind", "url", "duplicate_of"], "finding duplicates"):
        for row in batch.filter(pc.greater(pc.list_value_length(batch["duplicate_of"]), 0)).to_pylist():
            wanted.extend(_key(site_of(row["url"]), original) for original in row["duplicate_of"])
    keys_D: Keys = np.unique(np.asarray(wanted, np.uint64))
    titles: dict[int, str] = {}
    for batch in _batches(paths, ["kind", "id", "url", "title"], "reading titles") if wanted else ():
        for row in batch.filter(pc.equal(batch["kind"], "question")).to_pylist():
            key = _key(site_of(row["url"]), row["id"])
            if row["title"].strip() and _find(keys_D, key) is not None:
                _require_same(titles.setdefault(key, row["title"]), row)
    if not titles:
        found = f"none of the {len(keys_D):,} questions that were named" if wanted else "no question that names one"
        raise StackbertError(
            f"{paths[0].parent}: pair_sources 'duplicates' needs questions and those that they are duplicates of, and "
            f"this text has {found}. Build the corpus from a dump with post_links, its PostLinks.xml, or leave "
            "'duplicates' out"
        )
    return dict(sorted(titles.items()))


def _require_same(title: str, row: Mapping[str, Any]) -> None:
    """Raise StackbertError where two questions have the same site and id: which one is duplicated cannot be known."""
    if title != row["title"]:
        site = site_of(row["url"])
        where = f"of {site}" if site else "without a site"
        raise StackbertError(
            f"pair_sources 'duplicates': two questions {where} have the id {row['id']}, {title!r} and "
            f"{row['title']!r}; build each site's corpus with its own 'site', and label one corpus of a site only"
        )


def _batches(paths: Sequence[Path], columns: list[str], title: str) -> Iterator[Any]:
    """Batches of some columns of all shards."""
    with Progress(title, len(paths), unit="shards") as progress:
        for path in paths:
            yield from pq.ParquetFile(path).iter_batches(batch_size=_POSTS_PER_BATCH, columns=columns)
            progress.advance()


def _require_column(paths: Sequence[Path], name: str) -> None:
    for path in paths:
        if name not in pq.read_schema(path).names:
            raise StackbertError(
                f"{path}: has no column {name}, as its corpus was built by an earlier version; build it again with "
                "'stackbert corpora build', and the labelled set with 'stackbert corpora label'"
            )


def _count(paths: Sequence[Path]) -> int:
    return sum(pq.read_metadata(path).num_rows for path in paths)


def _key(*fields: str) -> int:
    """64-bit hash of a site, ids of its posts, and what else tells them from others of another site without a name."""
    return int.from_bytes(hashlib.blake2b("\n".join(fields).encode("utf-8", "replace"), digest_size=8).digest(), "big")


def _find(keys: Keys, key: int) -> int | None:
    """The number of a key among ascending ones."""
    number = int(np.searchsorted(keys, np.uint64(key)))
    return number if number < len(keys) and int(keys[number]) == key else None
