"""What gives a held-out question away is found, and nothing else is taken for it."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from corpora.cleaning.cleaning import clean_body
from corpora.contamination.evaluation_index import REASONS, EvaluationPosts
from corpora.post import Post
from corpora.post_columns import columns_of_posts
from tests.corpora.planted import ALWAYS_FOUND, disguises, link_to_plants
from tests.corpora.questions import question, sentence
from tests.paths import SHARED

QUESTIONS = SHARED / "so" / "questions.parquet"
BATCH = 500


def reasons(held_out: Sequence[Post], posts: Sequence[Post]) -> list[str]:
    keys = EvaluationPosts()
    for start in range(0, len(held_out), BATCH):
        keys.add(columns_of_posts(held_out[start : start + BATCH]))
    index = keys.index()
    batches = (columns_of_posts(posts[start : start + BATCH]) for start in range(0, len(posts), BATCH))
    return [REASONS[code] for batch in batches for code in index.find(batch).reasons_N]


def reason(held_out: Post, post: Post) -> str:
    return reasons([held_out], [post])[0]


def check_plants(held_out: Sequence[Post], codes: Sequence[str], clean: Sequence[Post], false_removals: int) -> None:
    """Every disguise of 100 held-out questions is found often enough, and hardly a clean post is."""
    assert len(held_out) == 100
    plants = [
        (kind, plant)
        for post, code in zip(held_out, codes, strict=True)
        for kind, plant in disguises(post, code).items()
    ]
    found = reasons(link_to_plants(held_out), [plant for _, plant in plants])
    shares = {}
    for kind in dict.fromkeys(kind for kind, _ in plants):
        hits = [bool(why) for (name, _), why in zip(plants, found, strict=True) if name == kind]
        shares[kind] = sum(hits) / len(hits)
        print(f"{kind}: {sum(hits)} of {len(hits)} found")
    removed = [why for why in reasons(link_to_plants(held_out), clean) if why]
    print(f"clean: {len(removed)} of {len(clean):,} removed ({', '.join(removed)})")
    assert all(share == 1 for kind, share in shares.items() if kind in ALWAYS_FOUND), shares
    assert all(share >= 0.95 for share in shares.values()), shares
    assert len(removed) <= false_removals


def test_planted_questions_are_found_and_clean_ones_stay() -> None:
    held_out = [question(number) for number in range(100)]
    codes = [post.text.split("\n\n")[1] for post in held_out]
    check_plants(held_out, codes, [question(number, (), "clean") for number in range(1_000)], 0)


def test_planted_real_questions_are_found_and_ten_thousand_clean_ones_stay() -> None:
    """L1 of the reliability figures, on questions that have code and titles that no other has."""
    if not QUESTIONS.exists():
        pytest.skip("the sample questions.parquet is not here")
    rows = pq.read_table(QUESTIONS, columns=["title", "body"]).to_pylist()
    by_title = {row["title"]: row["body"] for row in rows if row["title"] and row["body"]}
    posts = [
        Post(str(number), "question", title, clean_body(body, "auto"))
        for number, (title, body) in enumerate(by_title.items())
    ]
    random.Random(0).shuffle(posts)
    with_code = [(post, code) for post in posts if (code := longest_code(by_title[post.title]))]
    held_out, codes = [post for post, _ in with_code[:100]], [code for _, code in with_code[:100]]
    ids = {post.id for post in held_out}
    clean = [post for post in posts if post.id not in ids][:10_000]
    assert len(clean) == 10_000
    check_plants(held_out, codes, clean, 10)


def longest_code(body: str) -> str:
    """The longest code block of an HTML body, if it has 60 letters: as many as can be told from common speech."""
    blocks = [part.split("</code></pre>")[0] for part in body.split("<pre><code>")[1:]]
    texts = [clean_body(f"<pre><code>{block}</code></pre>", "html") for block in blocks]
    longest = max(texts, key=len, default="")
    return longest if sum(letter.isalnum() for letter in longest) >= 60 else ""


def test_ids_are_one_space_a_site_and_unnamed_sites_are_any() -> None:
    def at(site: str | None, post_id: str = "7") -> Post:
        url = site and f"https://{site}/q/{post_id}"
        text = sentence(random.Random(f"{site}{post_id}"), 40)
        return Post(post_id, "question", "", text, url=url)

    here, there, unnamed = "stackoverflow.com", "superuser.com", None
    assert reason(at(here), replace(at(here), text="Another text.")) == "contamination_id"
    assert reason(at(here), at(there)) == ""
    assert reason(at(here), at(unnamed)) == "contamination_id"
    assert reason(at(unnamed), at(there)) == "contamination_id"
    answer = Post("8", "answer", at(here).title, "An answer.", parent_id="7", url=f"https://{there}/a/8")
    assert reason(at(here), answer) == ""
    assert reason(at(there), answer) == "contamination_answer"


def test_an_answers_title_is_its_questions_and_gives_nothing_away() -> None:
    held_out = question(1)
    answer = Post("a", "answer", held_out.title, "Text of its own.", parent_id="2")
    assert reason(held_out, answer) == ""
    assert reason(held_out, replace(answer, kind="question")) == "contamination_text"


def test_short_titles_are_common_property() -> None:
    held_out = replace(question(1), title="Lists")
    assert reason(held_out, replace(question(2), title="Lists")) == ""


def test_what_many_held_out_posts_have_in_common_gives_none_of_them_away() -> None:
    header = sentence(random.Random("header"), 40)
    held_out = [
        Post(str(number), "question", "", f"{sentence(random.Random(number), 20)} {header}") for number in range(9)
    ]
    other = Post("x", "question", "", f"{sentence(random.Random('x'), 20)} {header}")
    assert reasons(held_out, [other]) == [""]
    assert reasons(held_out[:2], [other]) == ["contamination_ngrams"]


def test_nothing_held_out_finds_nothing() -> None:
    assert reasons([], [question(1)]) == [""]
