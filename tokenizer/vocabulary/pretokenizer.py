"""How text becomes words: one definition, used in training, in use, and stored inside `tokenizer.json`.

White space separates. Then, at each place, the first that fits:

1. a term of the lexicon that holds a symbol (`c++`, `node.js`, `.net`), longest first, with no letter adjoining;
2. the ending of a file's or a site's name with its dot (`.html`, `.com`);
3. a word: a letter, then letters, marks and digits (`numpy`, `utf8`), joined to others by `_` (`user_id`) or, where it
   reads as a hyphen, by `-` (`client-side`), and the rest of a contraction (`don't`);
4. a number, four digits at a time, so that long ones do not eat the vocabulary; a version whole (`3.5.1`);
5. an operator or a frequent run of punctuation (`->`, `==`, `();`);
6. any other single character.
"""

import re
from collections.abc import Iterable

from tokenizers import Regex, normalizers, pre_tokenizers

ADJOINING = r"[\p{L}\p{M}\p{N}_]"
LETTERS = r"[\p{L}\p{M}\p{N}]"
JOINED = rf"(?:_+{LETTERS}+|(?<={LETTERS}{{2}})-\p{{L}}{LETTERS}+)*"  # not `i-1` and `x-y`, which are sums
CONTRACTION = rf"(?:'(?:s|t|m|d|ll|re|ve|S|T|M|D|LL|RE|VE)(?!{LETTERS}))?"
WORD = rf"\p{{L}}{LETTERS}*{JOINED}{CONTRACTION}"
NUMBER = r"\p{N}{1,4}(?:\.\p{N}{1,4})*"
FILE_ENDINGS = tuple(
    "js ts jsx tsx py rb php html htm xml json css txt csv md java jar cs cpp exe dll sh bat sql so apk war vb vue "
    "aspx jsp png jpg gif svg pdf zip gz log yml yaml ini cfg conf properties plist gradle xls xlsx doc docx sln "
    "csproj com org io".split()
)
UNITS = tuple(
    # operators
    "=== !== <=> ... <<= >>= **= //= == != <= >= -> => :: && || ++ -- += -= *= /= %= |= &= << >> ** // /* */ := ?? ?. "
    "</ /> <- <? ?> ${ #{ \\n \\t --> /** >>> ]-> __ "
    # the frequent runs of punctuation in questions and their code, most frequent first
    '\'\' "" `` =" () ); ", \', ("" (" (); (\' ="" :// ), ": [] ): "> "", "); \': ") [\' =\' >< )) }, \') ($ ], }} '
    '></ ){ "; :\\ (( ][ (), "": \',\' ()) "," }); ++) ()); \'); )); [" \'] ``` "/ ]; ":" )? }; \'; (){ ({ "></ :/ ]) '
    ']: }) /// (! \\\\ $( ["" ([ {} :" {\' "] (): ={ "") "), "/> );} \'), \'], >( >(); )] ). ". \'. "? \'? \'\'\' """ '
    # characters of HTML as they are escaped; text about code is full of them
    "&lt; &gt; &amp; &quot; &nbsp; &#39;".split()
)


def build_normalizer(lowercase: bool) -> normalizers.Normalizer:
    """BERT's own normalizer: control characters out, Chinese characters apart; lower case drops accents too."""
    return normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=lowercase, lowercase=lowercase
    )


def build_pretokenizer(terms: Iterable[str]) -> pre_tokenizers.PreTokenizer:
    """The splitter that keeps `terms` whole.

    >>> split = build_pretokenizer(["c++", "node.js", ".net", "asp.net"])
    >>> [word for word, _ in split.pre_tokenize_str("asp.net, c++11 i++; end.net node.js. user_id in index.html")]
    ['asp.net', ',', 'c++', '11', 'i', '++', ';', 'end', '.', 'net', 'node.js', '.', 'user_id', 'in', 'index', '.html']
    """
    return pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(word_pattern(terms)), behavior="isolated")]
    )


def word_pattern(terms: Iterable[str]) -> str:
    """The regular expression of one word, in the syntax of the tokenizers library; `terms` stay whole.

    It is kept to what `ascii_pattern` can translate (classes of letters, marks and numbers, escaped punctuation), so
    that Python can read ASCII text with it.
    """
    units = sorted(UNITS, key=lambda unit: (-len(unit), unit))
    endings = rf"(?<={ADJOINING})\.(?i:{_trie_pattern(sorted(FILE_ENDINGS))})(?!{ADJOINING})"
    return "|".join([*_term_patterns(terms), endings, WORD, NUMBER, *map(re.escape, units), r"[^\s]"])


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
