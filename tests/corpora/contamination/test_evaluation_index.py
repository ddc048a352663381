"""Contamination of evaluation questions is found, and unrelated posts are not."""

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


def reasons(evaluation: Sequence[Post], posts: Sequence[Post]) -> list[str]:
    keys = EvaluationPosts()
    for start in range(0, len(evaluation), BATCH):
        keys.add(columns_of_posts(evaluation[start : start + BATCH]))
    index = keys.index()
    batches = (columns_of_posts(posts[start : start + BATCH]) for start in range(0, len(posts), BATCH))
    return [REASONS[code] for batch in batches for code in index.find(batch).reasons_N]


def reason(evaluation: Post, post: Post) -> str:
    return reasons([evaluation], [post])[0]


def check_plants(evaluation: Sequence[Post], codes: Sequence[str], clean: Sequence[Post], false_removals: int) -> None:
    """Each disguise of 100 evaluation questions is found often enough, and hardly any clean post is."""
    assert len(evaluation) == 100
    plants = [
        (kind, plant)
        for post, code in zip(evaluation, codes, strict=True)
        for kind, plant in disguises(post, code).items()
    ]
    found = reasons(link_to_plants(evaluation), [plant for _, plant in plants])
    shares = {}
    for kind in dict.fromkeys(kind for kind, _ in plants):
        hits = [bool(why) for (name, _), why in zip(plants, found, strict=True) if name == kind]
        shares[kind] = sum(hits) / len(hits)
        print(f"{kind}: {sum(hits)} of {len(hits)} found")
    removed = [why for why in reasons(link_to_plants(evaluation), clean) if why]
    print(f"clean: {len(removed)} of {len(clean):,} removed ({', '.join(removed)})")
    assert all(share == 1 for kind, share in shares.items() if kind in ALWAYS_FOUND), shares
    assert all(share >= 0.95 for share in shares.values()), shares
    assert len(removed) <= false_removals


def test_planted_questions_are_found_and_clean_ones_stay() -> None:
    evaluation = [question(number) for number in range(100)]
    codes = [post.text.split("\n\n")[1] for post in evaluation]
    check_plants(evaluation, codes, [question(number, (), "clean") for number in range(1_000)], 0)


@pytest.mark.skipif(not QUESTIONS.exists(), reason="needs ../shared/so/questions.parquet")
def test_planted_real_questions_are_found_and_ten_thousand_clean_ones_stay() -> None:
    """On questions that have code, and a title that no other question has."""
    rows = pq.read_table(QUESTIONS, columns=["title", "body"]).to_pylist()
    by_title = {row["title"]: row["body"] for row in rows if row["title"] and row["body"]}
    posts = [
        Post(str(number), "question", title, clean_body(body, "auto"))
        for number, (title, body) in enumerate(by_title.items())
    ]
    random.Random(0).shuffle(posts)
    with_code = [(post, code) for post in posts if (code := longest_code(by_title[post.title]))]
    evaluation, codes = [post for post, _ in with_code[:100]], [code for _, code in with_code[:100]]
    ids = {post.id for post in evaluation}
    clean = [post for post in posts if post.id not in ids][:10_000]
    assert len(clean) == 10_000
    check_plants(evaluation, codes, clean, 10)


def longest_code(body: str) -> str:
    """The longest code block of an HTML body, if it has at least 60 letters or digits, as in MIN_BLOCK."""
    blocks = [rest.split("</code></pre>")[0] for rest in body.split("<pre><code>")[1:]]
    texts = [clean_body(f"<pre><code>{block}</code></pre>", "html") for block in blocks]
    longest = max(texts, key=len, default="")
    return longest if sum(letter.isalnum() for letter in longest) >= 60 else ""


def test_ids_are_unique_within_a_site_and_match_any_site_without_url() -> None:
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


def test_the_title_of_an_answer_is_no_contamination() -> None:
    evaluation = question(1)
    answer = Post("a", "answer", evaluation.title, "Text of its own.", parent_id="2")
    assert reason(evaluation, answer) == ""
    assert reason(evaluation, replace(answer, kind="question")) == "contamination_text"


def test_a_shared_short_title_is_no_contamination() -> None:
    evaluation = replace(question(1), title="Lists")
    assert reason(evaluation, replace(question(2), title="Lists")) == ""


def test_text_that_many_evaluation_posts_share_is_no_contamination() -> None:
    header = sentence(random.Random("header"), 40)
    evaluation = [
        Post(str(number), "question", "", f"{sentence(random.Random(number), 20)} {header}") for number in range(9)
    ]
    other = Post("x", "question", "", f"{sentence(random.Random('x'), 20)} {header}")
    assert reasons(evaluation, [other]) == [""]
    assert reasons(evaluation[:2], [other]) == ["contamination_ngrams"]


def test_without_evaluation_posts_nothing_is_found() -> None:
    assert reasons([], [question(1)]) == [""]
