"""Tags in the two notations of dumps."""

import pytest

from corpora.sources.tags import TagsError, dump_tags


@pytest.mark.parametrize("text", ["<c#><asp.net>", "|c#|asp.net|", " <c#><asp.net><c#> "])
def test_both_notations_give_the_same_tags(text: str) -> None:
    assert dump_tags(text) == ("c#", "asp.net")


@pytest.mark.parametrize("text", ["", "  ", "<>", "||"])
def test_missing_values_give_no_tags(text: str) -> None:
    assert dump_tags(text) == ()


def test_one_tag_needs_no_signs_around_it() -> None:
    assert dump_tags("asp.net") == ("asp.net",)


@pytest.mark.parametrize("text", ["c#, asp.net", "c# asp.net", "<c#", "<c#>asp.net", '["c#"]x;y', "|c#|asp.net"])
def test_another_notation_is_refused(text: str) -> None:
    with pytest.raises(TagsError, match="should be <a><b> or"):
        dump_tags(text)
