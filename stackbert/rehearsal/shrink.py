"""A study in miniature: the same stages and settings, with the sizes of a rehearsal."""

from dataclasses import replace

from corpora.config import CorpusConfig, LabelConfig
from finetune.config import CompareConfig
from pretrain.config import PretrainConfig
from stackbert.adaptations import settings_of
from stackbert.config import Adaptation, StudyPhase
from stackbert.study import Study, chains_of
from tokenizer.config import EncodeConfig, TokenizerConfig

TITLE = "REHEARSAL, THE FIGURES MEAN NOTHING: "
LABELS, TRAIN, DEV, TEST = 2, 64, 24, 24
SEEDS = 1
PARTS, PART_MEGABYTES = 2, 1.0
"""Of each source, enough for some thousand posts of a dump."""
POSTS, ROWS, STEPS = 200, 2, 2
TRANSFER_TOKENS = 1_024
VOCABULARY, ADDED, ALPHABET = 1_000, 50, 200


def shrink_study(study: Study, out: str, corpora: dict[str, CorpusConfig]) -> Study:
    """The study with other sources and an output of its own; what is computed decides neither layouts nor limits."""
    return replace(
        study,
        out=out,
        corpora={name: _corpus(config) for name, config in corpora.items()},
        labels=_labels(study.labels),
        tokenizer=_tokenizer(study.tokenizer),
        encode=_encode(study.encode),
        pretrain=_pretrain(study.pretrain),
        phases=tuple(StudyPhase(_encode(phase.encode), _pretrain(phase.pretrain)) for phase in study.phases),
        adaptations=_adaptations(study),
        compare=_compare(study.compare),
    )


def _corpus(config: CorpusConfig) -> CorpusConfig:
    megabytes = min(config.part_megabytes, PART_MEGABYTES)
    return replace(config, part_megabytes=megabytes, max_parts=PARTS, engine="local", processes=1)


def _labels(config: LabelConfig) -> LabelConfig:
    """The most frequent tags instead of named ones, and no first day of test, which a small sample may lack."""
    return replace(
        config,
        labels=(),
        num_labels=min(len(config.labels) or config.num_labels, LABELS),
        test_from="",
        max_train=TRAIN,
        max_dev=DEV,
        max_test=TEST,
        processes=1,
    )


def _tokenizer(config: TokenizerConfig) -> TokenizerConfig:
    return replace(
        config,
        vocab_size=min(config.vocab_size, VOCABULARY),
        extend_by=min(config.extend_by, ADDED) if isinstance(config.extend_by, int) else ADDED,
        lexicon_size=min(config.lexicon_size, ADDED),
        alphabet_size=min(config.alphabet_size, ALPHABET),
        min_count=1,
        validation_share=0.1,
        processes=1,
    )


def _encode(config: EncodeConfig) -> EncodeConfig:
    return replace(config, max_posts=POSTS, validation_share=0.1, min_tag_posts=2, processes=1)


def _pretrain(config: PretrainConfig) -> PretrainConfig:
    return replace(
        config,
        steps=STEPS,
        epochs=0.0,
        minutes=0.0,
        batch_rows=min(config.batch_rows, ROWS),
        micro_batch_rows=0,
        evaluations=0,
        exports=min(config.exports, 1),
        validation_rows=ROWS,
        probe_labels="",  # those of the rehearsal, where a run is stopped by a probe
        probe_texts=min(config.probe_texts, TRAIN),
        transfer_tokens=min(config.transfer_tokens, TRANSFER_TOKENS),
        steps_per_execution=0,
        device="auto",
        state_folder="",
    )


def _adaptations(study: Study) -> dict[str, Adaptation]:
    """Each with its own phases, all of whose settings are named: none comes from [pretrain] as it was."""
    shrunk = {}
    for chain in chains_of(study):
        if chain.name in study.adaptations:
            adaptation = study.adaptations[chain.name]
            own = chain.phases[-len(adaptation.phases) :]
            small = (replace(each, encode=_encode(each.encode), pretrain=_pretrain(each.pretrain)) for each in own)
            shrunk[chain.name] = replace(adaptation, phases=tuple(map(settings_of, small)))
    return shrunk


def _compare(config: CompareConfig) -> CompareConfig:
    sizes = sorted(config.label_sizes, reverse=True)
    recipe = replace(config.recipe, head_epochs=2, epochs=1, batch_size=min(config.recipe.batch_size, TRAIN))
    return replace(
        config,
        recipe=recipe,
        seeds=config.seeds[:SEEDS],
        label_sizes=tuple(TRAIN * (len(sizes) - rank) // (len(sizes) + 1) for rank in range(len(sizes))),
        resamples=100,
        title=TITLE + (config.title or "Comparison of encoders"),
        reuse=(),
    )
