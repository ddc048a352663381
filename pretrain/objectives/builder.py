"""The objective that a run's configuration selects."""

from typing import NamedTuple

from pretrain.config import PretrainConfig
from pretrain.init.transfer import new_tokens
from pretrain.model.encoder import Encoder
from pretrain.objectives.causal_lm import CausalCollator, CausalLM
from pretrain.objectives.distillation import Distillation, DistillCollator, load_teacher
from pretrain.objectives.masked_lm import MaskedLM, build_masker
from pretrain.objectives.objective import Collator, Objective
from pretrain.objectives.pair_contrast import PairContrast, collate_pairs
from pretrain.objectives.tag_prediction import TagPrediction, collate_tags
from pretrain.objectives.word_prediction import WordCollator, WordPrediction, inverse_frequencies, log_shares
from stackbert.core.checkpoints import is_random
from stackbert.core.errors import StackbertError
from tokenizer.encoding.packed_rows import PackedRows
from tokenizer.encoding.reader import TextReader


class ConfiguredObjective(NamedTuple):
    """An objective and what makes its batches."""

    objective: Objective
    collator: Collator
    teacher_row_length: int = 0
    """Tokens of a row that the teacher reads; 0 without distillation."""
    validation_collator: Collator | None = None
    """What makes validation batches; None: `collator`."""


def build_objective(
    config: PretrainConfig, encoder: Encoder, reader: TextReader, rows: PackedRows, has_new_vocabulary: bool
) -> ConfiguredObjective:
    """Masked language modelling of `rows`, with distillation where `config.distill_weight` is set; or another.

    `reader` holds the rows' tokenizer. A teacher computes in the encoder's dtype; call this in the scope of the run's
    replicas. Raises StackbertError for rows without the tags, pairs or words that the objective needs.
    """
    if config.objective == "tags":
        if not rows.targets or not rows.targets.names:
            raise StackbertError(
                "objective tags: the rows have no tags to predict; encode them again with 'tokenizer encode --targets "
                "tags'"
            )
        return ConfiguredObjective(TagPrediction(encoder, rows.targets, config.tag_pooling), collate_tags)
    if config.objective == "pairs":
        if not rows.max_pairs:
            raise StackbertError(
                "objective pairs: the rows are no pairs of texts; encode them again with 'tokenizer encode --targets "
                "pairs'"
            )
        contrast = PairContrast(encoder, rows.max_pairs, config.tag_pooling, config.temperature, rows.has_shared_texts)
        return ConfiguredObjective(contrast, collate_pairs)
    if config.objective == "words":
        if not rows.targets or rows.targets.names:
            raise StackbertError(
                "objective words: the rows have no words to predict; encode them again with 'tokenizer encode "
                "--targets words'"
            )
        size = encoder.architecture.vocab_size
        bias_V = log_shares(rows.targets, size)
        words = WordPrediction(encoder, rows.targets.max_texts, config.tag_pooling, bias_V)
        return ConfiguredObjective(words, WordCollator(inverse_frequencies(rows.targets, size)))
    if config.objective == "causal":
        return ConfiguredObjective(CausalLM(encoder), CausalCollator(reader.special_ids))
    return _masked_lm(config, encoder, reader, rows.ids.shape[1], has_new_vocabulary)


def _masked_lm(
    config: PretrainConfig, encoder: Encoder, reader: TextReader, row_length: int, has_new_vocabulary: bool
) -> ConfiguredObjective:
    """Masked language modelling, with distillation where it is set."""
    # new tokens are masked more often in training only, so that validation losses compare
    validated = masker = build_masker(reader, config)
    if config.new_token_rate != 1 and has_new_vocabulary and not is_random(config.base):
        masker = build_masker(reader, config, new_tokens(config.base, reader))
    if not config.distill_weight:
        return ConfiguredObjective(MaskedLM(encoder), masker.mask, 0, validated.mask)
    checkpoint, teacher_reader = load_teacher(config.base, reader, row_length, has_new_vocabulary)
    teacher = Encoder(checkpoint.architecture, checkpoint.weights, encoder.dtype)
    return ConfiguredObjective(
        Distillation(encoder, teacher, config.distill_weight, config.distill_decay_share),
        DistillCollator(masker, teacher_reader),
        teacher_reader.row_length(row_length),
        DistillCollator(validated, teacher_reader),
    )
