"""Small tokenizers of each family, for tests of vocabularies."""

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from stackbert.core.artifact import write_json
from tokenizer.encoding.reader import TextReader, load_reader
from tokenizer.vocabulary.export import build_tokenizer, save_tokenizer


def wordpiece_reader(tokens: list[str], folder: Path) -> TextReader:
    """A lower-casing WordPiece vocabulary of these tokens."""
    folder.mkdir()
    save_tokenizer(build_tokenizer(tokens, [], lowercase=True), folder, lowercase=True)
    return load_reader(folder)


def roberta_reader(folder: Path) -> TextReader:
    """A byte-level vocabulary in which a space before a word is part of its token."""
    folder.mkdir()
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abcdeimnqrsty", "Ġ", "in", "Ġs", "my", "Ġm", "Ġmy", ","]
    merges = [("i", "n"), ("Ġ", "s"), ("Ġ", "m"), ("Ġm", "y"), ("m", "y")]
    model = models.BPE({token: number for number, token in enumerate(tokens)}, merges)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return saved_reader(tokenizer, folder)


def camembert_reader(folder: Path) -> TextReader:
    """A SentencePiece vocabulary with its mark on what begins a word."""
    folder.mkdir()
    pieces = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "\u2581",
        "\u2581my",
        "my",
        "sql",
        "s",
        "q",
        "l",
        "in",
        "g",
        ",",
        "<mask>",
    ]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(n)) for n, piece in enumerate(pieces)], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    return saved_reader(tokenizer, folder)


def saved_reader(tokenizer: Tokenizer, folder: Path) -> TextReader:
    """The tokenizer with RoBERTa's special tokens, as AutoTokenizer loads it."""
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad": "<pad>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"}
    settings = {f"{role}_token": token for role, token in names.items()}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **settings})
    return load_reader(folder)
