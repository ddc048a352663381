"""Finds evaluation posts, and posts that contaminate them, in other text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpora.arrays import Codes, Indices, Keys
from corpora.contamination.key_index import KeyIndex
from corpora.post_columns import PostColumns
from corpora.text_keys import TextKeys

# Shape letters: N posts, B blocks, G n-grams, M matches of an n-gram with an evaluation post, P pairs of posts.
# An owner is the number of an evaluation post, in the order in which they are added.

MIN_TITLE = 15  # characters; unrelated posts share shorter titles ("Lists vs tuples" has 15)
COPIED_SHARE = 0.5  # of a post's letters and digits, in blocks that evaluation posts contain, too
# Of the 13-grams of one of two posts, those in the other. With 5,000 of 15,304 real questions as evaluation posts, 18
# of the other 10,000 reach 0.4, and the titles of 12 of these show the same question; 23 reach 0.3, 31 0.2, and 55 0.1.
SHARED_SHARE = 0.4
MAX_OWNERS = 4  # evaluation posts with the same 13-gram; with more, it is a header, a stack trace or a set phrase

PREFIX = "contamination_"
REASONS = ("", *(PREFIX + kind for kind in ("id", "answer", "link", "text", "fragment", "ngrams")))
"""The index is the code of the reason; if several apply, the first is used."""
ID, ANSWER, LINK, TEXT, FRAGMENT, NGRAMS = range(1, len(REASONS))

_ANY_SITE, _NO_SITE = "*", ""


@dataclass(frozen=True)
class Findings:
    """Contamination in a batch of posts."""

    reasons_N: Codes
    """Indices in REASONS; 0 for a post that contaminates nothing."""
    owners_N: npt.NDArray[np.int32]
    """An evaluation post that is contaminated; -1 for none."""

    def record(self, posts: Indices, owners: Indices, reason: int) -> None:
        """Set the reason of posts that have none yet; of a post's several owners the first is recorded."""
        posts, first = np.unique(posts, return_index=True)
        new = self.reasons_N[posts] == 0
        self.reasons_N[posts[new]] = reason
        self.owners_N[posts[new]] = owners[first[new]]


class EvaluationPosts:
    """The posts of one or more evaluation splits, as keys.

    A post contaminates an evaluation post if
    - by id, it is the post itself, an answer to it, or linked with it as a duplicate in either direction;
    - it has the same title, text or both, ignoring case, line breaks and punctuation;
    - COPIED_SHARE of it or more consists of blocks of evaluation posts, such as their code;
    - the two share SHARED_SHARE or more of the 13-grams of either, as in a quotation. A text of fewer than 13 words has
      no 13-gram: it is found as a title, body or block.

    Ids are unique within a site, the host of a post's URL. A post without URL may be from any site: ids match on all.
    """

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], int] = {}
        self._linked: dict[tuple[str, str], int] = {}
        self._texts, self._blocks, self._ngrams = _Owned(), _Owned(), _Owned()
        self._count = 0

    def add(self, posts: PostColumns) -> None:
        """Add `posts` to the evaluation posts."""
        rows = zip(posts.sites, posts.ids, posts.duplicates, strict=True)
        for owner, (site, post_id, targets) in enumerate(rows, self._count):
            for name in (site, _ANY_SITE):
                self._ids.setdefault((name, post_id), owner)
                for target in targets:
                    self._linked.setdefault((name, target), owner)
        for column in identifying_keys(posts.titles, posts.keys):
            self._texts.add(column, self._count + np.arange(len(posts)))
        self._blocks.add(posts.keys.blocks_B, self._count + posts.keys.block_posts_B)
        self._ngrams.add(posts.keys.ngrams_G, self._count + posts.keys.ngram_posts_G)
        self._count += len(posts)

    def index(self) -> "EvaluationIndex":
        """An index of the posts added so far."""
        keys, owners = self._ngrams.distinct()
        _, key_indices, owners_of_key = np.unique(keys, return_inverse=True, return_counts=True)
        rare = owners_of_key[key_indices] <= MAX_OWNERS
        return EvaluationIndex(
            ids=dict(self._ids),
            linked=dict(self._linked),
            texts=KeyIndex(*self._texts.distinct()),
            blocks=KeyIndex(*self._blocks.distinct()),
            ngrams=KeyIndex(keys[rare], owners[rare]),
            ngram_counts=np.bincount(owners[rare], minlength=self._count),
        )


@dataclass(frozen=True)
class EvaluationIndex:
    """Evaluation posts as sorted keys; takes some 20 bytes of memory for each of their words."""

    ids: dict[tuple[str, str], int]
    """Site and id -> owner."""
    linked: dict[tuple[str, str], int]
    """Site and id of a question that an evaluation post duplicates -> owner."""
    texts: KeyIndex
    blocks: KeyIndex
    ngrams: KeyIndex
    ngram_counts: Indices
    """Owner -> number of its distinct 13-grams in the index."""

    def find(self, posts: PostColumns) -> Findings:
        """Find which of `posts` contaminate evaluation posts, and why."""
        found = Findings(np.zeros(len(posts), np.uint8), np.full(len(posts), -1, np.int32))
        if len(posts) and len(self.ngram_counts):
            self._find_ids(posts, found)
            for column in identifying_keys(posts.titles, posts.keys):
                found.record(*self.texts.pairs(column), TEXT)
            self._find_blocks(posts.keys, found)
            self._find_ngrams(posts.keys, found)
        return found

    def shared_ngrams(self, keys: TextKeys) -> tuple[Indices, Indices, Indices]:
        """Pairs of post and owner, and how many distinct 13-grams they share."""
        ngrams_M, owners_M = self.ngrams.pairs(keys.ngrams_G)
        pairs_M = keys.ngram_posts_G[ngrams_M] * len(self.ngram_counts) + owners_M
        _, distinct_M = _distinct(keys.ngrams_G[ngrams_M], pairs_M)
        pairs_P, shared_P = np.unique(distinct_M, return_counts=True)
        return *np.divmod(pairs_P, len(self.ngram_counts)), shared_P

    def _find_ids(self, posts: PostColumns, found: Findings) -> None:
        rows = zip(posts.sites, posts.ids, posts.parents, posts.duplicates, strict=True)
        for row, (site, post_id, parent, targets) in enumerate(rows):
            wanted = [(self.ids, post_id, ID), (self.linked, post_id, LINK)]
            wanted += [(self.ids, parent, ANSWER)] if parent else []
            wanted += [(self.ids, target, LINK) for target in targets]
            for owners, name, reason in wanted:
                owner = _lookup(owners, site, name)
                if owner is not None:
                    found.reasons_N[row], found.owners_N[row] = reason, owner
                    break

    def _find_blocks(self, keys: TextKeys, found: Findings) -> None:
        """Posts that consist of blocks of evaluation posts by COPIED_SHARE or more."""
        blocks, owners = self.blocks.pairs(keys.blocks_B)
        blocks, first = np.unique(blocks, return_index=True)
        posts = keys.block_posts_B[blocks]
        copied_N = np.bincount(posts, keys.block_letters_B[blocks], len(keys.letters_N))
        mostly = (copied_N >= COPIED_SHARE * keys.letters_N)[posts]
        found.record(posts[mostly], owners[first[mostly]], FRAGMENT)

    def _find_ngrams(self, keys: TextKeys, found: Findings) -> None:
        """Posts that share SHARED_SHARE or more of their 13-grams, or of those of an evaluation post."""
        posts_P, owners_P, shared_P = self.shared_ngrams(keys)
        of_post_P = np.bincount(keys.ngram_posts_G, minlength=len(keys.letters_N))[posts_P]
        many_P = shared_P >= SHARED_SHARE * np.minimum(of_post_P, self.ngram_counts[owners_P])
        found.record(posts_P[many_P], owners_P[many_P], NGRAMS)


class _Owned:
    """Keys and their owners, as they are added."""

    def __init__(self) -> None:
        self._keys: list[Keys] = [np.empty(0, np.uint64)]
        self._owners: list[Indices] = [np.empty(0, np.int64)]

    def add(self, keys: Keys, owners: Indices) -> None:
        """Add keys and their owners; a key 0 is skipped."""
        self._keys.append(keys[keys != 0])
        self._owners.append(owners[keys != 0])

    def distinct(self) -> tuple[Keys, Indices]:
        return _distinct(np.concatenate(self._keys), np.concatenate(self._owners))


def identifying_keys(titles: Sequence[str], keys: TextKeys) -> Iterator[Keys]:
    """Keys of the posts' whole texts, titles and bodies; 0 where one is too short to identify a post."""
    no_key = np.uint64(0)
    long_N = np.array([len(title) >= MIN_TITLE for title in titles], bool)
    yield np.where((keys.titles_N != 0) & (keys.bodies_N != 0), keys.wholes_N, no_key)
    yield np.where(long_N, keys.titles_N, no_key)
    yield keys.bodies_N


def _lookup(owners: dict[tuple[str, str], int], site: str, post_id: str) -> int | None:
    """The owner of an id on its site or without site; for an empty `site`, on any."""
    if not site:
        return owners.get((_ANY_SITE, post_id))
    owner = owners.get((site, post_id))
    return owners.get((_NO_SITE, post_id)) if owner is None else owner


def _distinct(keys: Keys, owners: Indices) -> tuple[Keys, Indices]:
    """The distinct pairs of key and owner, in ascending order."""
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    new = np.ones(len(keys), bool)
    new[1:] = (keys[1:] != keys[:-1]) | (owners[1:] != owners[:-1])
    return keys[new], owners[new]
