"""Settings out of range are refused when they are made, whether by the command line, a study or Python."""

import pytest

from finetune.config import CompareConfig, FinetuneConfig
from pretrain.config import MergeConfig, PretrainConfig
from pretrain.measure.config import BenchConfig
from stackbert.core.errors import StackbertError
from stackbert.study import Study
from tokenizer.config import EncodeConfig, TokenizerConfig


def test_cleaned_texts_and_section_budgets_exclude_each_other():
    with pytest.raises(StackbertError, match="cleaned: a cleaned text is a single line"):
        CompareConfig(cleaned=True, recipe=FinetuneConfig(body_tokens=5))


@pytest.mark.parametrize(
    ("config", "setting", "value"),
    [
        (TokenizerConfig, "vocab_size", 0),
        (TokenizerConfig, "min_count", 0),
        (TokenizerConfig, "alphabet_size", 0),
        (TokenizerConfig, "lexicon_size", -1),
        (EncodeConfig, "row_length", 7),
        (EncodeConfig, "row_length", 4_097),
        (EncodeConfig, "validation_share", 1.0),
        (EncodeConfig, "max_posts", -1),
        (EncodeConfig, "processes", -1),
        (TokenizerConfig, "extend_by", 0),
        (TokenizerConfig, "title_weight", 0),
        (TokenizerConfig, "validation_share", 1.0),
        (TokenizerConfig, "extend_gain", 1.0),
        (PretrainConfig, "embeddings_first", 1.0),
        (PretrainConfig, "new_rows_first", 1.0),
        (PretrainConfig, "new_token_rate", 0.0),
        (PretrainConfig, "transfer_contexts", 0),
        (PretrainConfig, "transfer_tokens", 0),
        (PretrainConfig, "decay_share", 0.0),
        (PretrainConfig, "distill_decay_share", -0.1),
        (PretrainConfig, "distill_decay_share", 1.5),
        (BenchConfig, "steps", 0),
        (BenchConfig, "mask_rate", 1.0),
        (MergeConfig, "share", 0.0),
        (MergeConfig, "share", 1.0),
        (Study, "merged", 1.0),
        (PretrainConfig, "batch_rows", 0),
        (PretrainConfig, "tokens", 0),
        (PretrainConfig, "mask_rate", 2.0),
        (PretrainConfig, "learning_rate", 0.0),
        (PretrainConfig, "warmup_share", 1.1),
        (FinetuneConfig, "max_length", 2),
        (FinetuneConfig, "batch_size", 0),
        (FinetuneConfig, "dropout", 1.0),
        (CompareConfig, "seeds", ()),
        (CompareConfig, "seeds", (1, 1)),
        (CompareConfig, "resamples", 0),
    ],
)
def test_setting_out_of_range_names_itself_and_what_it_was(config, setting, value):
    with pytest.raises(StackbertError) as error:
        config(**{setting: value})
    assert setting in str(error.value)
    assert str(value) in str(error.value)
