"""Terms that get one token each."""

from collections import Counter

import pytest

from stackbert.core.errors import StackbertError
from tokenizer.config import TokenizerConfig
from tokenizer.vocabulary.lexicon import WELL_KNOWN, build_lexicon, read_terms

TAGS_XML = """<?xml version="1.0" encoding="utf-8"?>
<tags>
  <row Id="1" TagName=".net" Count="300" />
  <row Id="2" TagName="c#" Count="900" />
</tags>
"""


def test_given_terms_then_well_known_then_frequent_tags():
    tags = Counter({"mysql": 5, "asp": 5, "rare": 1})
    found = build_lexicon(tags, TokenizerConfig(lexicon=("htmx",), lexicon_size=2))
    assert found == ["htmx", *WELL_KNOWN, "asp", "mysql"]


def test_tags_xml_and_a_list_of_terms_are_read(tmp_path):
    (tmp_path / "Tags.xml").write_text(TAGS_XML)
    (tmp_path / "terms.txt").write_text("\ufeffhtmx\n\nhtmx\nc++ \n")
    assert read_terms(tmp_path / "Tags.xml") == [".net", "c#"]
    assert read_terms(tmp_path / "terms.txt") == ["htmx", "c++"]
    config = TokenizerConfig(lexicon_path=str(tmp_path / "Tags.xml"), lexicon_size=0)
    assert build_lexicon(Counter(), config)[:2] == [".net", "c#"]


def test_errors_name_what_is_wrong_with_a_list(tmp_path):
    with pytest.raises(StackbertError, match="no such file; check lexicon_path"):
        read_terms(tmp_path / "nowhere.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(StackbertError, match="holds no term"):
        read_terms(tmp_path / "empty.txt")
    (tmp_path / "bytes.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(StackbertError, match=r"bytes.txt: cannot be read: 'utf-8'"):
        read_terms(tmp_path / "bytes.txt")
    (tmp_path / "Tags.xml").write_text('<row TagName="a" <\n')
    with pytest.raises(StackbertError, match="cannot be read"):
        read_terms(tmp_path / "Tags.xml")
