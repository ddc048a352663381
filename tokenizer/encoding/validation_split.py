"""Which posts are validation posts: tokenizer and encoder never train on them."""

from corpora.post import is_in_share

VALIDATION_PURPOSE = "held-out"
"""Salt of the hash that chooses validation posts. An old word: with another one, other posts would be chosen."""


def is_validation_post(post_id: str, validation_share: float) -> bool:
    """Whether a post is among the `validation_share` of validation posts; depends on its id alone."""
    return is_in_share(post_id, validation_share, VALIDATION_PURPOSE)
