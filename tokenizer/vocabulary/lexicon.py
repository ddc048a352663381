"""The lexicon: terms that get one token each; well-known ones, the user's own, and the corpus's most frequent tags."""

from collections import Counter
from pathlib import Path

from corpora.sources.dump_row import parse_row
from corpora.sources.lines import read_lines
from stackbert.core.errors import StackbertError
from tokenizer.config import TokenizerConfig

# names with a symbol, at which a pre-tokenizer would split them; plain words need no entry
WELL_KNOWN = tuple(
    "c++ c# f# j# g++ notepad++ .net asp.net ado.net vb.net ml.net node.js vue.js next.js nuxt.js react.js angular.js "
    "express.js backbone.js ember.js three.js d3.js chart.js socket.io objective-c scikit-learn t-sql pl/sql tcp/ip "
    "ci/cd i/o utf-8 utf-16 iso-8859-1 x86-64 sha-1 sha-256 md-5 wi-fi e-mail x-axis y-axis 2.x 3.x "
    "python-2.x python-3.x ctrl+c ctrl+v package.json web.config [closed] [duplicate] "
    "__init__ __main__ __name__ __new__ __call__".split()
)


def build_lexicon(tags: Counter[str], config: TokenizerConfig) -> list[str]:
    """Terms of `config` and its file, the well-known ones, then the most frequent of `tags`, ties by code point."""
    frequent = sorted(tags, key=lambda tag: (-tags[tag], tag))[: config.lexicon_size]
    listed = read_terms(Path(config.lexicon_path)) if config.lexicon_path else []
    return list(dict.fromkeys([*config.lexicon, *listed, *WELL_KNOWN, *frequent]))


def read_terms(path: Path) -> list[str]:
    """The tags of a Stack Exchange Tags.xml, or the lines of any other text file; in order, without duplicates.

    Raises StackbertError if the file is missing, is not UTF-8 text, or holds no term.
    """
    if not path.is_file():
        raise StackbertError(f"{path}: no such file; check lexicon_path")
    lines = [line.strip() for _, _, line in read_lines(path)]
    try:
        if path.suffix.lower() == ".xml":
            found = [parse_row(line).get("TagName", "") for line in lines if line.startswith(b"<row")]
        else:
            found = [line.decode() for line in lines]
    except ValueError as error:  # from parse_row or decode
        raise StackbertError(f"{path}: cannot be read: {error}; give UTF-8 text, or the site's Tags.xml") from None
    terms = list(dict.fromkeys(term for term in found if term))
    if not terms:
        raise StackbertError(f"{path}: holds no term; give Tags.xml, or a text file with one term a line")
    return terms
