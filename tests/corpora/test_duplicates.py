"""Keys of texts."""

import random

from corpora.duplicates import KEY_BYTES, SeenKeys, exact_key


def test_seen_keys_equals_a_set() -> None:
    numbers = random.Random(0)
    seen, reference = SeenKeys(), set()
    # Few different bytes in one bucket: rests that are found across the border of two others.
    keys = [b"ab" + bytes(numbers.choices((0, 1), k=KEY_BYTES - 2)) for _ in range(3_000)]
    keys += [exact_key(str(numbers.randrange(500))) for _ in range(1_000)]
    for key in keys:
        assert (key in seen) == (key in reference)
        assert seen.add(key) == (key not in reference)
        reference.add(key)
