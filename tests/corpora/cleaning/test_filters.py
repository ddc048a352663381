"""Which posts the filters drop, and for which reason."""

import pytest

from corpora.build.steps import clean_posts
from corpora.cleaning.filters import chosen_filters, own_characters
from corpora.config import CorpusConfig
from corpora.raw_post import RawPost

ENGLISH = "<p>How can I read the lines of a file one after another without holding all of them in memory?</p>"
SPANISH = "<p>¿Cómo puedo leer las líneas de un archivo una tras otra sin tenerlas todas en la memoria a la vez?</p>"
CODE = "<pre><code>for line in open(name):\n    print(line)\n</code></pre>"


def reason(body: str, config: CorpusConfig) -> str | None:
    post = RawPost(id="1", kind="question", title="", text=body, format="html")
    clean_posts([post], config)
    return next(filter(None, (reason_of(post) for reason_of in chosen_filters(config))), None)


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("Thanks in advance!", 0),
        ("Possible Duplicate: How do I sort?", 0),
        ("Any help would be greatly appreciated.", 0),
        ("Thank you all\nIt works", 8),
        ("yes\nyes\nyes", 3),
        ("Thanks to the parser it works", 29),
        ("hello world program", 19),
    ],
)
def test_notices_and_repeated_lines_do_not_count(text: str, characters: int) -> None:
    assert own_characters(text) == characters


def test_a_post_of_notices_is_boilerplate_and_a_short_one_too_short() -> None:
    config = CorpusConfig()
    assert reason("<p>Thanks in advance!</p><p>Any help would be appreciated.</p>", config) == "boilerplate"
    assert reason("<p>Thanks</p>", config) == "too_short"
    assert reason(ENGLISH + "<p>Thanks in advance!</p>", config) is None


def test_languages_are_identified_from_words_outside_of_code() -> None:
    pytest.importorskip("py3langid")
    config = CorpusConfig(languages=("en",))
    assert reason(ENGLISH + CODE, config) is None
    assert reason(SPANISH + CODE, config) == "other_language"
    assert reason(SPANISH + CODE, CorpusConfig(languages=("en", "es"))) is None
    assert reason(CODE * 3, config) is None  # no words to judge by
