"""The index of keys, compared with a dictionary."""

import numpy as np

from corpora.contamination.key_index import KeyIndex, first_occurrences


def random_keys(count: int, seed: int) -> np.ndarray:
    keys = np.random.default_rng(seed).integers(0, 2**64, count, np.uint64)
    keys[: count // 10] = keys[count // 10 : 2 * (count // 10)]
    return keys


def test_pairs_are_all_owners_of_each_key() -> None:
    keys, owners = random_keys(5_000, 0), np.arange(5_000) % 70
    wanted = np.concatenate([keys[::7], random_keys(5_000, 1), np.zeros(3, np.uint64)])
    owners_of: dict[int, list[int]] = {}
    for key, owner in zip(keys.tolist(), owners.tolist(), strict=True):
        owners_of.setdefault(key, []).append(owner)
    expected = [(index, owner) for index, key in enumerate(wanted.tolist()) for owner in owners_of.get(key, ())]
    indices, found = KeyIndex(keys, owners).pairs(wanted)
    assert sorted(zip(indices.tolist(), found.tolist(), strict=True)) == sorted(expected)
    assert np.all(np.diff(indices) >= 0)


def test_an_empty_index_and_the_key_0_find_nothing() -> None:
    nothing = np.empty(0, np.uint64)
    assert len(KeyIndex(nothing, np.empty(0, np.int64)).pairs(random_keys(10, 0))[0]) == 0
    assert len(KeyIndex(np.zeros(1, np.uint64), np.zeros(1, np.int64)).pairs(np.zeros(2, np.uint64))[0]) == 0


def test_first_occurrences_agree_with_a_set() -> None:
    keys = np.concatenate([random_keys(3_000, 0), random_keys(3_000, 0)[::-1], np.zeros(4, np.uint64)])
    seen: set[int] = set()
    for key, first in zip(keys.tolist(), first_occurrences(keys).tolist(), strict=True):
        assert first == (key == 0 or key not in seen)
        seen.add(key)
