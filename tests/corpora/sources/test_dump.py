"""Posts.xml: as published, damaged, and hostile."""

import tracemalloc
from pathlib import Path

import pytest

from corpora.config import CorpusConfig
from corpora.post import Post
from corpora.sources.dump import dump_lines, dump_source, parse_lines
from corpora.sources.source import Dropped
from stackbert.core.errors import StackbertError
from tests.corpora.outcomes import Made, made

QUESTION = (
    '<row Id="4" PostTypeId="1" CreationDate="2008-07-31T21:42:52.667" Score="-3" '
    'Body="&lt;p&gt;Why is &lt;code&gt;a &amp;lt; b&lt;/code&gt; false?&lt;/p&gt;&#xA;" '
    'Title="Compare &quot;a&quot; and b" Tags="&lt;c#&gt;&lt;linq&gt;" ContentLicense="CC BY-SA 3.0" />'
)
ANSWER = '<row Id="7" PostTypeId="2" ParentId="4" Body="&lt;p&gt;Because they are equal numbers.&lt;/p&gt;" />'
WIKI = '<row Id="9" PostTypeId="5" Body="About the tag" />'
CONFIG = CorpusConfig(source="dump", path="x")


def outcomes(path: Path, content: str | bytes, config: CorpusConfig = CONFIG) -> list[Made]:
    path /= "Posts.xml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return made(parse_lines(dump_lines(path), config), config)


def dump(*rows: str) -> str:
    return '<?xml version="1.0" encoding="utf-8"?>\n<posts>\n' + "".join(f"  {row}\n" for row in rows) + "</posts>\n"


def test_question_answer_and_wiki(tmp_path: Path) -> None:
    question, answer, wiki = outcomes(tmp_path, dump(QUESTION, ANSWER, WIKI))
    assert question == Post(
        id="4",
        kind="question",
        title='Compare "a" and b',
        text="Why is a < b false?",
        tags=("c#", "linq"),
        score=-3,
        created="2008-07-31T21:42:52.667",
        license="CC BY-SA 3.0",
    )
    assert answer == Post(id="7", kind="answer", title="", text="Because they are equal numbers.", parent_id="4")
    assert isinstance(wiki, Dropped) and wiki.reason == "other_type"


def test_a_named_site_gives_urls(tmp_path: Path) -> None:
    config = CorpusConfig(source="dump", path="x", site="stackoverflow.com")
    question, answer = outcomes(tmp_path, dump(QUESTION, ANSWER), config)
    assert isinstance(question, Post) and question.url == "https://stackoverflow.com/q/4"
    assert isinstance(answer, Post) and answer.url == "https://stackoverflow.com/a/7"


def test_newer_tag_notation(tmp_path: Path) -> None:
    (question,) = outcomes(tmp_path, dump(QUESTION.replace("&lt;c#&gt;&lt;linq&gt;", "|c#|linq|")))
    assert isinstance(question, Post) and question.tags == ("c#", "linq")


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + dump(QUESTION, ANSWER),
        dump(QUESTION, ANSWER).replace("<posts>", "<!-- made\n by hand -->\n<posts>"),
        dump(QUESTION, ANSWER).replace("posts>", "xml>"),
        dump(QUESTION, ANSWER).replace("<posts>", '<posts xmlns:x="y">'),
        f"  {QUESTION}\r\n  {ANSWER}",
        dump(QUESTION, ANSWER).replace("</posts>\n", ""),
        dump(QUESTION, f"<!-- {WIKI} -->", ANSWER),
        dump(QUESTION, f"<!-- begin --> {ANSWER}"),
        dump(QUESTION, ANSWER).replace("?>\n<posts>", "?><posts>"),
    ],
    ids=[
        "mark",
        "comment",
        "other root",
        "attributes",
        "no header",
        "no end",
        "row in comment",
        "row after",
        "one line",
    ],
)
def test_real_variations_are_read(tmp_path: Path, content: str) -> None:
    found = outcomes(tmp_path, content)
    assert [post.id for post in found if isinstance(post, Post)] == ["4", "7"]
    assert len(found) == 2


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        (QUESTION.encode().replace(b"false", b"f\xff\xfelse"), "not well-formed"),
        (QUESTION.encode().replace(b"false", b"&#x0;"), "invalid character number"),
        (QUESTION.encode().replace(b"false", b"&user;"), "undefined entity"),
        (QUESTION.encode()[:90], "unclosed token"),
        (QUESTION.encode() + ANSWER.encode(), "junk after"),
        (b'<row Id="1" PostTypeId="1"><row Id="2" PostTypeId="1"/></row>', "elements inside"),
        (b'<row PostTypeId="1" Body="a text that is long enough" />', "no Id"),
        (b'Body="the rest of a row that was cut" />', "not a row"),
        (b"<posts>" + ANSWER.encode(), "not a row"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_offset(tmp_path: Path, row: bytes, detail: str) -> None:
    before, after = f"<posts>\n{QUESTION}\n".encode(), f"\n{ANSWER}\n</posts>".encode()
    found = outcomes(tmp_path, before + row + after)
    assert [post.id for post in found if isinstance(post, Post)] == ["4", "7"]
    bad = found[1]
    assert isinstance(bad, Dropped) and bad.reason == "bad_row"
    assert bad.where == f"byte {len(before)}"
    assert detail in bad.detail
    assert bad.excerpt.startswith(row[:20].decode())


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        '  <!ENTITY a "x">',
        QUESTION + '<!DOCTYPE x [<!ENTITY a "x">]>',
        f'<row Id="1" PostTypeId="1" Body="{"x" * 5_000_000}" />',
        f'<row Id="1" PostTypeId="1" Body="{"x" * 20_000_000}" />',
    ],
    ids=["billion laughs", "external", "entity alone", "after a row", "5 MB", "20 MB"],
)
def test_attacks_are_refused_after_one_line_in_little_memory(tmp_path: Path, declaration: str) -> None:
    path = tmp_path / "Posts.xml"
    path.write_text(dump(QUESTION, declaration, ANSWER))
    tracemalloc.start()
    with pytest.raises(StackbertError, match=r"byte \d+"):
        list(dump_lines(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


def test_a_doctype_inside_a_posts_text_is_no_attack(tmp_path: Path) -> None:
    (question,) = outcomes(tmp_path, dump(QUESTION.replace("false", "&amp;lt;!DOCTYPE html&amp;gt;")))
    assert isinstance(question, Post) and "<!DOCTYPE html>" in question.text


def test_an_unclosed_comment_does_not_hide_the_rest(tmp_path: Path) -> None:
    with pytest.raises(StackbertError, match="comment that begins at byte 0 is never closed"):
        outcomes(tmp_path, f"<!-- \n{QUESTION}\n")


@pytest.mark.parametrize(("head", "name"), [(b"7z\xbc\xaf\x27\x1c", "7z archive"), (b"\xff\xfe<\x00", "UTF-16")])
def test_other_encodings_are_named(tmp_path: Path, head: bytes, name: str) -> None:
    with pytest.raises(StackbertError, match=name):
        outcomes(tmp_path, head + b"\x00" * 100)


def test_a_folder_and_a_missing_file_are_refused_with_advice(tmp_path: Path) -> None:
    config = CorpusConfig(source="dump", path=str(tmp_path))
    with pytest.raises(StackbertError, match=r"is a folder; name the file in it: a Posts\.xml, or the \.7z"):
        dump_source(tmp_path, config)
    with pytest.raises(StackbertError, match=r"no such file; it should be a Posts\.xml"):
        dump_source(tmp_path / "Posts.xml", config)


def test_short_posts_are_dropped(tmp_path: Path) -> None:
    assert outcomes(tmp_path, dump('<row Id="1" PostTypeId="2" Body="&lt;p&gt;Thanks!&lt;/p&gt;" />')) == [
        Dropped("too_short")
    ]
