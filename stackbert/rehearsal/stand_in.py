"""Made-up posts in English or French, which stand in for data that is not on this machine."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np

from corpora.config import CorpusConfig

POSTS = 240
LONG_EVERY, LONG_SENTENCES = 12, 90
"""One post in so many is longer than any encoder reads."""
SENTENCES = 4
FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Words:
    """What the posts of a language are made of."""

    openings: tuple[str, ...]
    tasks: dict[str, str]
    """Tag -> what is asked about it."""
    kinds: dict[str, str]
    """A second tag -> a sentence about it."""
    sentences: tuple[str, ...]
    """With places for a number and the tag."""


_ENGLISH = _Words(
    openings=("How do I", "What is the best way to", "Is it possible to", "Why can I not", "When should one"),
    tasks={
        "mysql": "join two tables on a column that may be empty",
        "numpy": "sum the rows of an array without a loop",
        "css": "centre a box inside its parent",
        "c++": "return a vector from a function without a copy",
        "node.js": "read a large file line by line",
        "git": "undo the last commit and keep its changes",
        "bash": "loop over the files of a folder",
        "regex": "match the text between two brackets",
    },
    kinds={
        "performance": "It takes far too long on real data.",
        "error-handling": "It stops with an exception that says little.",
        "installation": "It works on one machine and not on the other.",
    },
    sentences=(
        "I have been working on this with {tag} for {number} hours and the result is still empty.",
        "The input has about {number} lines, and every line holds a name, a date and a price.",
        "My first attempt was a loop that calls the function {number} times and collects what it returns.",
        "A colleague told me to look at the manual of {tag}, but section {number} covers only the simple case.",
        "When the value is larger than {number}, the output becomes negative, which cannot be right.",
        "I would rather not install another library, since the server runs version {number} of everything.",
        "Here is what I expect: the first {number} entries sorted by date, then the rest in any order.",
        "With a smaller sample of {number} entries the same code finishes at once and prints what it should.",
        "Does anybody know whether {tag} caches this, or is it computed {number} times?",
        "The log shows a warning at line {number} that I could not find explained anywhere.",
        "Changing the order of the arguments made no difference, nor did a timeout of {number} seconds.",
        "Any hint is welcome, also one that replaces the approach as a whole; there are {number} such places.",
    ),
)
_FRENCH = _Words(
    openings=("Comment", "Quelle est la meilleure façon de", "Est-il possible de", "Pourquoi ne puis-je pas"),
    tasks={
        "mysql": "joindre deux tables sur une colonne parfois vide",
        "numpy": "additionner les lignes d'un tableau sans boucle",
        "css": "centrer une boîte dans son élément parent",
        "c++": "renvoyer un vecteur depuis une fonction sans copie",
        "node.js": "lire un gros fichier ligne par ligne",
        "git": "annuler le dernier commit en gardant ses modifications",
        "bash": "parcourir les fichiers d'un dossier",
        "regex": "trouver le texte entre deux crochets",
    },
    kinds={
        "performance": "C'est beaucoup trop lent sur de vraies données.",
        "exceptions": "Le programme s'arrête sur une erreur peu explicite.",
        "installation": "Cela marche sur une machine et pas sur l'autre.",
    },
    sentences=(
        "Je travaille là-dessus avec {tag} depuis {number} heures et le résultat reste vide.",
        "Le fichier d'entrée compte environ {number} lignes, chacune avec un nom, une date et un prix.",
        "J'ai d'abord écrit une boucle qui appelle la fonction {number} fois et garde ce qu'elle renvoie.",
        "Un collègue m'a conseillé le manuel de {tag}, mais la section {number} ne traite que le cas simple.",
        "Dès que la valeur dépasse {number}, la sortie devient négative, ce qui ne peut pas être juste.",
        "Je préfère ne pas installer d'autre bibliothèque, car le serveur est resté à la version {number}.",
        "Voici ce que j'attends : les {number} premières entrées triées par date, puis les autres.",
        "Avec un échantillon de {number} entrées, le même code se termine aussitôt et affiche ce qu'il faut.",
        "Quelqu'un sait-il si {tag} met ce calcul en cache, ou s'il le refait {number} fois ?",
        "Le journal contient à la ligne {number} un avertissement que je n'ai trouvé expliqué nulle part.",
        "Changer l'ordre des arguments n'a rien changé, pas plus qu'un délai de {number} secondes.",
        "Toute piste est la bienvenue, même très différente ; il y a {number} endroits de ce genre.",
    ),
)
_LANGUAGES = {"en": _ENGLISH, "fr": _FRENCH}


def stand_in_posts(language: Literal["en", "fr"], seed: int = 0) -> Iterator[dict[str, Any]]:
    """POSTS posts with title, HTML body, two tags and a date; every twelfth is longer than an encoder reads."""
    words = _LANGUAGES[language]
    generator = np.random.default_rng(seed)
    for number, (tag, kind) in enumerate(
        itertools.islice(itertools.cycle(itertools.product(words.tasks, words.kinds)), POSTS)
    ):
        opening = words.openings[number % len(words.openings)]
        count = SENTENCES if number % LONG_EVERY else LONG_SENTENCES
        chosen = generator.choice(words.sentences, count)
        sentences = [each.format(tag=tag, number=generator.integers(2, 10_000)) for each in chosen]
        yield {
            "id": f"{seed}-{number}",
            "title": f"{opening} {words.tasks[tag]} ({tag}, {number})?",
            "body": f"<p>{words.kinds[kind]} {' '.join(sentences)}</p><pre><code>print(row[{number}])</code></pre>",
            "tags": [tag, kind],
            "created": (FIRST_DAY + timedelta(days=number)).isoformat(),
        }


def stand_in_texts(language: Literal["en", "fr"]) -> list[str]:
    """Title and body of each post, to learn a vocabulary from."""
    return [f"{post['title']} {post['body']}" for post in stand_in_posts(language)]


def write_stand_in(config: CorpusConfig, language: Literal["en", "fr"], path: Path, seed: int) -> CorpusConfig:
    """Write the posts as JSON lines, and return the corpus that reads them as `config` reads its source.

    They have tags where those of `config` do; other settings than where and how its text is stored stay as they are.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(post, ensure_ascii=False) for post in stand_in_posts(language, seed))
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    tagged = config.source in ("dump", "packages") or config.tags_column is not None
    stored = {name: getattr(CorpusConfig, name) for name in _STORAGE}
    return replace(
        config,
        **stored
        | {"source": "table", "path": str(path.absolute()), "id_column": "id", "title_column": "title"}
        | {"body_column": "body", "date_column": "created", "tags_column": "tags" if tagged else None},
    )


_STORAGE = (
    *("tags_format", "tags_separator", "date_order", "delimiter", "quote", "escape", "encoding", "format", "languages"),
    *("tag_synonyms", "tags_path", "post_links", "decontaminate_against", "min_score", "packages"),
)
"""Settings of CorpusConfig that say how a source is stored, or choose among what it holds."""
