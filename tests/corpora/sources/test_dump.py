"""Posts.xml: as published, damaged, and hostile."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from corpora.build.build import build_corpus
from corpora.config import CorpusConfig
from corpora.post import Post
from corpora.raw_post import RawPost
from corpora.sources.dump import dump_lines, dump_source, parse_lines
from corpora.sources.source import Dropped
from stackbert.core.errors import StackbertError
from tests.corpora.outcomes import Made, made
from tests.paths import SHARED

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
        (QUESTION.encode().replace(b"false", b"&#x110000;"), "invalid character number"),
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
    ("written", "removed"),
    [
        ("&#x8;", 1),
        ("&#x0;&#0;&#x0000;", 3),
        ("\x1b[1m\x00", 2),
        ("&#xFFFE;\uffff", 2),
        ("&#xD800;", 1),
        ("&#x9;", 0),
        ("\x7f", 0),
    ],
)
def test_characters_that_xml_forbids_are_removed_and_counted_and_their_row_is_kept(
    tmp_path: Path, written: str, removed: int
) -> None:
    row = QUESTION.replace("false", f"fal{written}se").replace("Compare", f"Com{written}pare")
    (tmp_path / "Posts.xml").write_text(dump(row, ANSWER))
    question, answer = parse_lines(dump_lines(tmp_path / "Posts.xml"), CONFIG)
    assert isinstance(question, RawPost) and isinstance(answer, RawPost)
    assert (question.removed, answer.removed) == (2 * removed, 0)
    assert question.id == "4" and question.tags == ("c#", "linq")
    if removed and "[" not in written:
        assert "false" in question.text and question.title == 'Compare "a" and b'


def test_a_cut_row_with_such_a_character_is_still_a_bad_row(tmp_path: Path) -> None:
    bad, answer = outcomes(tmp_path, f"{QUESTION.replace('false', '&#x8;')[:-20]}\n{ANSWER}\n")
    assert isinstance(bad, Dropped) and isinstance(answer, Post)


def test_the_manifest_counts_removed_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [QUESTION.replace('Id="4"', f'Id="{n}"').replace("false", f"f{'&#x1F;' * (n % 3)} {n}") for n in range(30)]
    (tmp_path / "Posts.xml").write_text(dump(*rows))
    made = build_corpus(
        tmp_path / "out", replace(CONFIG, path="Posts.xml", processes=1, part_megabytes=0.002), tmp_path
    )
    assert made.counts["read"] == made.counts["kept"] == 30
    assert made.counts["removed_characters"] == 30
    assert "30 characters that XML forbids were removed" in capsys.readouterr().out


@pytest.mark.skipif(not (SHARED / "field").is_dir(), reason="no field cases beside the project")
def test_a_published_dump_with_control_characters_is_read_whole(tmp_path: Path) -> None:
    source = SHARED / "field" / "dump_control_characters" / "Posts.xml"
    made = build_corpus(tmp_path / "out", replace(CONFIG, path=str(source), processes=1), tmp_path)
    assert (made.counts["read"], made.counts["kept"]) == (120, 120)


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
