"""How text is split into words: one definition for training and use, stored in `tokenizer.json`.

White space separates chunks. In a chunk, the first alternative that matches is the next word:

1. a lexicon term with a symbol (`c++`, `node.js`, `.net`), longest first, with no letter before or after it;
2. a file extension or top-level domain with its dot (`.html`, `.com`);
3. a word: a letter, then letters, marks and digits (`numpy`, `utf8`), joined to others by `_` (`user_id`) or, where it
   is a hyphen, by `-` (`client-side`), with the rest of a contraction (`don't`);
4. a number, in groups of four digits, so that long ones do not fill the vocabulary; a version whole (`3.5.1`);
5. an operator or a frequent run of punctuation (`->`, `==`, `();`);
6. any other single character.
"""

import re
import unicodedata
from collections.abc import Iterable

from tokenizers import Regex, normalizers, pre_tokenizers

from tokenizer.encoding.script_runs import SCRIPT_RUNS

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
    # HTML entities, frequent in text about code
    "&lt; &gt; &amp; &quot; &nbsp; &#39;".split()
)


def build_normalizer(lowercase: bool, keeps_accents: bool = False) -> normalizers.Normalizer:
    """BERT's normalizer: removes control characters, separates Chinese characters; lower case also strips accents."""
    strips_accents = lowercase and not keeps_accents
    return normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=strips_accents, lowercase=lowercase
    )


def build_pretokenizer(terms: Iterable[str], splits_runs: bool = False) -> pre_tokenizers.PreTokenizer:
    """The pre-tokenizer that never splits `terms`; with `splits_runs`, SCRIPT_RUNS are words of their own.

    >>> split = build_pretokenizer(["c++", "node.js", ".net", "asp.net"])
    >>> [word for word, _ in split.pre_tokenize_str("asp.net, c++11 i++; end.net node.js. user_id in index.html")]
    ['asp.net', ',', 'c++', '11', 'i', '++', ';', 'end', '.', 'net', 'node.js', '.', 'user_id', 'in', 'index', '.html']
    """
    words = pre_tokenizers.Split(Regex(word_pattern(terms)), behavior="isolated")
    runs = [split_script_runs()] if splits_runs else []
    return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), *runs, words])


def split_script_runs() -> pre_tokenizers.PreTokenizer:
    """The step that splits runs of Japanese syllables, Hangul and the like from what stands beside them.

    >>> [run for run, _ in split_script_runs().pre_tokenize_str("node.js\u3067\u30c7\u30fc\u30bf")]
    ['node.js', '\u3067', '\u30c7\u30fc\u30bf']
    """
    return pre_tokenizers.Split(Regex(SCRIPT_RUNS), behavior="isolated")


def word_pattern(terms: Iterable[str]) -> str:
    """The regular expression of one word, in the syntax of the tokenizers library; `terms` are never split.

    It uses only what `ascii_pattern` can translate for Python (classes of letters, marks and numbers, escaped
    punctuation).
    """
    units = sorted(UNITS, key=lambda unit: (-len(unit), unit))
    endings = rf"(?<={ADJOINING})\.(?i:{_trie_pattern(sorted(FILE_ENDINGS))})(?!{ADJOINING})"
    return "|".join([*_term_patterns(terms), endings, WORD, NUMBER, *map(re.escape, units), r"[^\s]"])


def needs_rule(term: str) -> bool:
    """Whether the pattern needs an alternative for `term`: it is not a single plain word."""
    kinds = "".join(unicodedata.category(character)[0] for character in term)
    return re.fullmatch("L[LMN]*", kinds) is None


def _term_patterns(terms: Iterable[str]) -> list[str]:
    """One pattern for terms that end in a letter or digit, one for those that end in a symbol (`c++` in `c++11`)."""
    ruled = sorted({term for term in terms if term and needs_rule(term)})
    ends = (
        (f"(?!{ADJOINING})", [term for term in ruled if unicodedata.category(term[-1])[0] in "LMN"]),
        (r"(?![+#])", [term for term in ruled if unicodedata.category(term[-1])[0] not in "LMN"]),
    )
    return [rf"(?<!{ADJOINING})(?i:{_trie_pattern(group)}){after}" for after, group in ends if group]


def _trie_pattern(terms: list[str]) -> str:
    """A pattern that tries long terms before their prefixes and examines each character once."""
    if terms == [""]:
        return ""
    heads: dict[str, list[str]] = {}
    for term in terms:
        if term:
            heads.setdefault(term[0], []).append(term[1:])
    branches = [re.escape(head) + _trie_pattern(tails) for head, tails in heads.items()]
    pattern = branches[0] if len(branches) == 1 and "" not in terms else f"(?:{'|'.join(branches)})"
    return pattern + ("?" if "" in terms else "")
