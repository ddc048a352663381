"""A folder of text files as a corpus."""

from dataclasses import replace
from pathlib import Path

import pytest

from corpora.build.build import build_corpus
from corpora.config import CorpusConfig
from corpora.post import read_posts
from stackbert.core.errors import StackbertError

CONFIG = CorpusConfig(source="folder", path="notes", max_rejected_share=0.5)


def test_each_text_file_becomes_a_document(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    (notes / "deep" / ".git").mkdir(parents=True)
    (notes / "b.md").write_text("# Joins\n\nUse an index on both columns.\n\n    SELECT 1\n")
    (notes / "deep" / "a.txt").write_bytes(b"\xef\xbb\xbfRestart the worker\nand read its log for the reason.")
    (notes / "deep" / "page.HTML").write_text("<h1>Queues</h1><p>They hold what <b>waits</b> for a worker.</p>")
    (notes / "deep" / ".git" / "x.txt").write_text("This one is hidden, and so it is not read.")
    (notes / "latin.txt").write_bytes("Größe und Gewicht der Pakete in der Liste".encode("latin-1"))
    (notes / "picture.png").write_bytes(b"\x89PNG")
    (notes / "link.txt").symlink_to(notes / "b.md")
    manifest = build_corpus(tmp_path / "out", CONFIG, tmp_path)
    posts = {post.id: post for post in read_posts(tmp_path / "out")}
    assert list(posts) == ["b.md", "deep/a.txt", "deep/page.HTML"]
    assert (posts["b.md"].title, posts["b.md"].text) == ("Joins", "Use an index on both columns.\n\n    SELECT 1")
    assert posts["deep/a.txt"].whole_text == "Restart the worker and read its log for the reason."
    assert posts["deep/page.HTML"].text == "Queues\n\nThey hold what waits for a worker."
    assert manifest.counts["dropped"] == {"bad_row": 1}


def test_encodings_of_files(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    text = "Größe und Gewicht der Pakete, von Datei {} gelesen"
    for name, encoding in (("a", "utf-8"), ("b", "utf-8-sig"), ("c", "utf-16"), ("d", "cp1252")):
        (notes / f"{name}.txt").write_text(text.format(name), encoding)
    with pytest.raises(StackbertError, match=r"1 of 4 rows .*\n  d.txt: not UTF-8; name its encoding, or convert"):
        build_corpus(tmp_path / "out", replace(CONFIG, max_rejected_share=0.0), tmp_path)
    build_corpus(tmp_path / "out", replace(CONFIG, encoding="cp1252"), tmp_path)
    assert [post.whole_text for post in read_posts(tmp_path / "out")] == [text.format(name) for name in "abcd"]
    with pytest.raises(StackbertError, match="encoding 'nonsense' is unknown"):
        build_corpus(tmp_path / "other", replace(CONFIG, encoding="nonsense"), tmp_path)


def test_an_empty_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(StackbertError, match=r"holds no file that ends in .*\.md"):
        build_corpus(tmp_path / "out", CONFIG, tmp_path)
    (tmp_path / "file.txt").write_text("A text of some length, in no folder.")
    with pytest.raises(StackbertError, match="is not a folder"):
        build_corpus(tmp_path / "out", CorpusConfig(source="folder", path="file.txt"), tmp_path)
