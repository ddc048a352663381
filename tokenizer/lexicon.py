"""Which terms a vocabulary is to keep whole: well-known ones, the user's own, and the corpus's most frequent tags."""

from collections import Counter

from tokenizer.config import TokenizerConfig

# names that hold a symbol, which a splitter of words and punctuation would break; plain words need no entry
WELL_KNOWN = tuple(
    "c++ c# f# j# g++ notepad++ .net asp.net ado.net vb.net ml.net node.js vue.js next.js nuxt.js react.js angular.js "
    "express.js backbone.js ember.js three.js d3.js chart.js socket.io objective-c scikit-learn t-sql pl/sql tcp/ip "
    "ci/cd i/o utf-8 utf-16 iso-8859-1 x86-64 sha-1 sha-256 md-5 wi-fi e-mail x-axis y-axis 2.x 3.x python-2.x "
    "python-3.x ctrl+c ctrl+v package.json web.config __init__ __main__ __name__ __new__ __call__".split()
)


def build_lexicon(tags: Counter[str], config: TokenizerConfig) -> list[str]:
    """The terms of `config`, the well-known ones, and the most frequent of `tags`, ties in code point order."""
    frequent = sorted(tags, key=lambda tag: (-tags[tag], tag))[: config.lexicon_size]
    return list(dict.fromkeys([*config.lexicon, *WELL_KNOWN, *frequent]))
