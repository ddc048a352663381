"""How text becomes words: one definition, used in training, in use, and stored inside `tokenizer.json`.

White space separates. Then, at each place, the first that fits:

1. a term of the lexicon that holds a symbol (`c++`, `node.js`, `.net`), longest first, with no letter adjoining;
2. a word: a letter, then letters, marks and digits (`numpy`, `utf8`, `x86`);
3. a number, four digits at a time, so that numbers do not eat the vocabulary;
4. an operator (`->`, `==`, `::`);
5. any other single character.
"""

import re
from collections.abc import Iterable

from tokenizers import Regex, normalizers, pre_tokenizers

WORD = r"\p{L}[\p{L}\p{M}\p{N}]*"
NUMBER = r"\p{N}{1,4}"
OPERATORS = (
    *("===", "!==", "<=>", "...", "<<=", ">>=", "**=", "//="),
    *("==", "!=", "<=", ">=", "->", "=>", "::", "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "%=", "|=", "&="),
    *("<<", ">>", "**", "//", "/*", "*/", ":=", "??", "?.", "</", "/>", "<-", "<?", "?>", "${", "#{", "\\n", "\\t"),
)
ADJOINING = r"[\p{L}\p{M}\p{N}_]"


def build_normalizer(lowercase: bool) -> normalizers.Normalizer:
    """BERT's own normalizer: control characters out, Chinese characters apart; lower case drops accents too."""
    return normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=lowercase, lowercase=lowercase
    )


def build_pretokenizer(terms: Iterable[str]) -> pre_tokenizers.PreTokenizer:
    """The splitter that keeps `terms` whole.

    >>> split = build_pretokenizer(["c++", "node.js", ".net", "asp.net"])
    >>> [word for word, _ in split.pre_tokenize_str("asp.net, c++11 i++; end.net node.js.")]
    ['asp.net', ',', 'c++', '11', 'i', '++', ';', 'end', '.', 'net', 'node.js', '.']
    """
    pattern = "|".join([*_term_patterns(terms), WORD, NUMBER, *map(re.escape, OPERATORS), r"[^\s]"])
    return pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(pattern), behavior="isolated")]
    )


def needs_rule(term: str) -> bool:
    """Whether `term` would be split without a rule of its own: it holds more than one word's characters."""
    return re.fullmatch(r"[^\W\d_][^\W_]*", term) is None


def _term_patterns(terms: Iterable[str]) -> list[str]:
    """One pattern for terms that end in a letter or digit, one for those that end in a symbol, as `c++` in `c++11`."""
    kept = sorted({term for term in terms if term and needs_rule(term)})
    ends = (
        (f"(?!{ADJOINING})", [t for t in kept if t[-1].isalnum()]),
        (r"(?![+#])", [t for t in kept if not t[-1].isalnum()]),
    )
    return [rf"(?<!{ADJOINING})(?i:{_trie_pattern(group)}){after}" for after, group in ends if group]


def _trie_pattern(terms: list[str]) -> str:
    """A pattern that tries long terms before their prefixes and looks at each character once."""
    if terms == [""]:
        return ""
    heads: dict[str, list[str]] = {}
    for term in terms:
        if term:
            heads.setdefault(term[0], []).append(term[1:])
    branches = [re.escape(head) + _trie_pattern(tails) for head, tails in heads.items()]
    pattern = branches[0] if len(branches) == 1 and "" not in terms else f"(?:{'|'.join(branches)})"
    return pattern + ("?" if "" in terms else "")
