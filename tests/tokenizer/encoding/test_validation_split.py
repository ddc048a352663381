"""Validation posts are chosen by a hash of their id."""

from tokenizer.encoding.validation_split import is_validation_post


def test_the_choice_never_changes():
    """Rows and vocabularies of earlier versions must have the same validation posts."""
    chosen = [number for number in range(100) if is_validation_post(str(number), 0.1)]
    assert chosen == [1, 25, 38, 76, 79, 80, 83, 99]


def test_a_larger_share_contains_the_smaller_one():
    ids = [str(number) for number in range(1_000)]
    smaller, larger = ({post_id for post_id in ids if is_validation_post(post_id, share)} for share in (0.1, 0.3))
    assert smaller < larger
    assert 60 < len(smaller) < 140
    assert not any(is_validation_post(post_id, 0.0) for post_id in ids)
