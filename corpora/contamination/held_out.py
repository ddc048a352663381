"""Recognises held-out posts, and what gives them away, in other text."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from corpora.contamination.key_index import KeyIndex
from corpora.post_columns import PostColumns
from corpora.text_keys import TextKeys

# Shape letters: N posts, B blocks, W windows, M matches of a window with a held-out post, P pairs of posts.

MIN_TITLE = 15  # characters: a shorter title ("Lists vs tuples" has 15) is shared by posts that have nothing in common
COPIED_SHARE = 0.5  # of a post's letters and digits in blocks that held-out posts have as well
# Of the 13-grams of one of two posts, those that the other has. With 5,000 of 15,304 real questions held out, 18 of
# the other 10,000 reach it, 12 of them by their titles the same question again; at 0.3 23 do, at 0.2 31, at 0.1 55.
SHARED_SHARE = 0.4
COMMON_OWNERS = 4  # held-out posts with the same 13-gram; above, it is a header, a stack trace or a figure of speech

REASONS = ("", "held_out_id", "held_out_answer", "held_out_link", "held_out_text", "held_out_part", "held_out_ngrams")
"""The place is the code; where several hold, the first is given."""
ID, ANSWER, LINK, TEXT, PART, NGRAMS = range(1, len(REASONS))

_ANY, _UNNAMED = "*", ""  # in place of a site


@dataclass(frozen=True)
class Findings:
    """What a batch of posts gives away."""

    reasons_N: np.ndarray
    """uint8, places in REASONS; 0 for a post that is clear."""
    owners_N: np.ndarray
    """int32, the number of a held-out post that is given away, in the order of adding; -1 for none."""

    def note(self, posts: np.ndarray, owners: np.ndarray, reason: int) -> None:
        """Give the posts that have none yet a reason; of a post's several owners the first is noted."""
        posts, first = np.unique(posts, return_index=True)
        new = self.reasons_N[posts] == 0
        self.reasons_N[posts[new]] = reason
        self.owners_N[posts[new]] = owners[first[new]]


class HeldOut:
    """The posts of one or more evaluation splits, as keys.

    Found are: the post itself, answers to it, and questions that are its duplicates by a link in either direction, by
    id; posts with the same title, text or both, whatever their case, line breaks and punctuation; posts of which
    half or more stands in held-out posts, block by block, such as the code alone; and posts of which a held-out one has
    SHARED_SHARE of the 13-grams, or which have that share of a held-out one's, as where it is quoted. A text of fewer
    than 13 words has none: it is found as a whole title, body or block.

    Ids are one space a site, as the post's url names it. A post without url may be of any site: it is found by id on
    all.
    """

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], int] = {}
        self._linked: dict[tuple[str, str], int] = {}
        # Keys beside the numbers of the posts that have them.
        self._texts, self._blocks, self._windows = _Owned(), _Owned(), _Owned()
        self._count = 0

    def add(self, posts: PostColumns) -> None:
        """Hold `posts` out."""
        rows = zip(posts.sites, posts.ids, posts.duplicates, strict=True)
        for owner, (site, post_id, targets) in enumerate(rows, self._count):
            for place in (site, _ANY):
                self._ids.setdefault((place, post_id), owner)
                for target in targets:
                    self._linked.setdefault((place, target), owner)
        for column in _text_columns(posts):
            self._texts.add(column, self._count + np.arange(len(posts)))
        self._blocks.add(posts.keys.blocks_B, self._count + posts.keys.block_posts_B)
        self._windows.add(posts.keys.windows_W, self._count + posts.keys.window_posts_W)
        self._count += len(posts)

    def index(self) -> "HeldOutIndex":
        """What finds the posts added so far."""
        keys, owners = self._windows.distinct()
        _, places, owners_of_key = np.unique(keys, return_inverse=True, return_counts=True)
        rare = owners_of_key[places] <= COMMON_OWNERS
        return HeldOutIndex(
            ids=dict(self._ids),
            linked=dict(self._linked),
            texts=KeyIndex(*self._texts.distinct()),
            blocks=KeyIndex(*self._blocks.distinct()),
            windows=KeyIndex(keys[rare], owners[rare]),
            window_counts=np.bincount(owners[rare], minlength=self._count),
        )


@dataclass(frozen=True)
class HeldOutIndex:
    """Held-out posts, ready to be looked for; memory holds some 20 bytes for each of their words, and nothing else."""

    ids: dict[tuple[str, str], int]
    """Site and id -> number of the held-out post."""
    linked: dict[tuple[str, str], int]
    """The same of the questions that held-out ones are marked as duplicates of."""
    texts: KeyIndex
    blocks: KeyIndex
    windows: KeyIndex
    window_counts: np.ndarray
    """For each held-out post, how many different 13-grams of it are in the index."""

    def find(self, posts: PostColumns) -> Findings:
        """Which of `posts` must not be read by a model that is then tested on the held-out ones, and why."""
        found = Findings(np.zeros(len(posts), np.uint8), np.full(len(posts), -1, np.int32))
        if len(posts) and len(self.window_counts):
            self._find_ids(posts, found)
            for column in _text_columns(posts):
                found.note(*self.texts.pairs(column), TEXT)
            self._find_blocks(posts.keys, found)
            self._find_windows(posts.keys, found)
        return found

    def shared_windows(self, keys: TextKeys) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs of a post and a held-out one, by number, and how many different 13-grams both have."""
        places_M, owners_M = self.windows.pairs(keys.windows_W)
        pairs_M = keys.window_posts_W[places_M] * len(self.window_counts) + owners_M
        _, pairs_M = _distinct(keys.windows_W[places_M], pairs_M)
        pairs_P, shared_P = np.unique(pairs_M, return_counts=True)
        return *np.divmod(pairs_P, len(self.window_counts)), shared_P

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
        """Posts of which half or more is in blocks that held-out posts have too."""
        places, owners = self.blocks.pairs(keys.blocks_B)
        places, first = np.unique(places, return_index=True)
        posts = keys.block_posts_B[places]
        copied_N = np.bincount(posts, keys.block_letters_B[places], len(keys.letters_N))
        mostly = (copied_N >= COPIED_SHARE * keys.letters_N)[posts]
        found.note(posts[mostly], owners[first[mostly]], PART)

    def _find_windows(self, keys: TextKeys, found: Findings) -> None:
        """Posts that share SHARED_SHARE of their 13-grams, or of a held-out post's."""
        posts_P, owners_P, shared_P = self.shared_windows(keys)
        of_post_P = np.bincount(keys.window_posts_W, minlength=len(keys.letters_N))[posts_P]
        many_P = shared_P >= SHARED_SHARE * np.minimum(of_post_P, self.window_counts[owners_P])
        found.note(posts_P[many_P], owners_P[many_P], NGRAMS)


class _Owned:
    """Keys beside the numbers of the posts that have them, as they come."""

    def __init__(self) -> None:
        self._keys: list[np.ndarray] = [np.empty(0, np.uint64)]
        self._owners: list[np.ndarray] = [np.empty(0, np.int64)]

    def add(self, keys: np.ndarray, owners: np.ndarray) -> None:
        """A key 0 stands for nothing."""
        self._keys.append(keys[keys != 0])
        self._owners.append(owners[keys != 0])

    def distinct(self) -> tuple[np.ndarray, np.ndarray]:
        return _distinct(np.concatenate(self._keys), np.concatenate(self._owners))


def _text_columns(posts: PostColumns) -> Iterator[np.ndarray]:
    """Keys of the posts' titles, bodies and both, 0 where they are too short to know again."""
    keys, nothing = posts.keys, np.uint64(0)
    long_N = np.array([len(title) >= MIN_TITLE for title in posts.titles], bool)
    yield np.where((keys.titles_N != 0) & (keys.bodies_N != 0), keys.wholes_N, nothing)
    yield np.where(long_N, keys.titles_N, nothing)
    yield keys.bodies_N


def _lookup(owners: dict[tuple[str, str], int], site: str, post_id: str) -> int | None:
    """The owner of an id on its site, or on an unnamed one; of a post without site, on any."""
    if not site:
        return owners.get((_ANY, post_id))
    owner = owners.get((site, post_id))
    return owners.get((_UNNAMED, post_id)) if owner is None else owner


def _distinct(keys: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each pair of a key and an owner once, in ascending order."""
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    new = np.ones(len(keys), bool)
    new[1:] = (keys[1:] != keys[:-1]) | (owners[1:] != owners[:-1])
    return keys[new], owners[new]
