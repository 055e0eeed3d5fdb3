"""The checks of parts that are no modules: tokenizers, corpora, optimizers and schedules."""

from dataclasses import replace
from typing import Any

from gptkit.testing import laws
from gptkit.testing.check import check
from gptkit.testing.strategies import (
    bowls,
    broken_texts,
    long_runs,
    no_input,
    packed_bowls,
    runs,
    texts,
    texts_of_many_characters,
    unusual_bowls,
)

TOKENIZER = [
    check(("tokenizer",), law, texts, case=laws.tokenizer.TextCase, is_core=True)
    for law in (
        laws.tokenizer.round_trips,
        laws.tokenizer.refuses_clearly,
        laws.tokenizer.encodes_its_own_text,
        laws.tokenizer.ids_are_in_the_vocabulary,
        laws.tokenizer.every_id_is_text,
        laws.tokenizer.json_round_trips,
        laws.tokenizer.is_a_function_of_the_text,
    )
]
OPTIMIZER = [
    check(("optimizer",), law, bowls, case=laws.optimizer.BowlCase, share=0.5, is_core=True)
    for law in (
        laws.optimizer.lowers_a_convex_loss,
        laws.optimizer.moves_every_kind_of_weight,
        laws.optimizer.takes_each_weight_once,
        laws.optimizer.follows_the_learning_rate,
        laws.optimizer.leaves_out_what_has_no_gradient,
        laws.optimizer.state_is_data,
        laws.optimizer.goes_on_from_its_state,
    )
]
SCHEDULE = [
    check(("schedule",), law, runs, case=laws.schedule.RunCase, is_core=True)
    for law in (
        laws.schedule.is_defined_throughout,
        laws.schedule.depends_on_the_step_alone,
        laws.schedule.learns_something,
    )
]
CORPUS = [
    check(("corpus",), law, no_input, case=laws.corpus.NoCase, share=0.05, is_core=True)
    for law in (laws.corpus.gives_text, laws.corpus.gives_the_same_again, laws.corpus.keeps_validation_apart)
]

MORE: dict[str, Any] = {"share": 0.2, "level": "2", "is_core": True}
LARGE: dict[str, Any] = {"share": 0.04, "level": "2"}

TOKENIZER_2 = [
    *(
        check(("tokenizer",), law, texts, case=laws.tokenizer.TextCase, **(MORE | {"share": 0.5}))
        for law in (
            laws.tokenizer_use.encode_array_gives_the_same_ids,
            laws.tokenizer_use.vocabulary_ignores_cuts,
            laws.tokenizer_use.safe_cuts_change_nothing,
            laws.tokenizer_use.decodes_token_by_token,
            laws.tokenizer_use.restores_without_files,
            laws.tokenizer_use.encoding_changes_nothing,
        )
    ),
    *(
        check(
            ("tokenizer",),
            law,
            broken_texts,
            case=laws.tokenizer.TextCase,
            when="not_unicode",
            share=0.2,
            level="2",
        )
        for law in (laws.tokenizer.round_trips, laws.tokenizer_use.encode_array_gives_the_same_ids)
    ),
    *(
        check(("tokenizer",), law, texts_of_many_characters, case=laws.tokenizer.TextCase, when="large", **LARGE)
        for law in (laws.tokenizer_use.encode_array_gives_the_same_ids, laws.tokenizer_use.vocabulary_ignores_cuts)
    ),
]

OPTIMIZER_2 = [
    *(
        check(("optimizer",), law, unusual_bowls, case=laws.optimizer.BowlCase, when="groups_are_unusual", **MORE)
        for law in (
            laws.optimizer.lowers_a_convex_loss,
            laws.optimizer.moves_every_kind_of_weight,
            laws.optimizer.takes_each_weight_once,
            laws.optimizer.goes_on_from_its_state,
        )
    ),
    *(
        check(("optimizer",), law, inputs, case=laws.optimizer.BowlCase, **MORE)
        for law, inputs in (
            (laws.parameter_groups.each_group_follows_its_rate, bowls),
            (laws.parameter_groups.decay_follows_the_learning_rate, unusual_bowls),
            (laws.parameter_groups.trains_packed_weights_as_separate, packed_bowls),
            (laws.parameter_groups.depends_on_its_gradients_alone, bowls),
        )
    ),
]

SCHEDULE_2 = [
    check(("schedule",), law, inputs, case=laws.schedule.RunCase, when=when, **(MORE | {"share": 0.5}))
    for law, inputs, when in (
        (laws.schedule.is_defined_throughout, long_runs, "long"),
        (laws.schedule.depends_on_nothing_else, runs, ""),
    )
]
CORPUS_2 = [
    check(("corpus",), law, no_input, case=laws.corpus.NoCase, share=0.05, level="2")
    for law in (
        laws.corpus.shares_little_with_training,
        laws.corpus.is_unicode,
        laws.corpus.refuses_broken_files,
        laws.corpus.readings_do_not_disturb_one_another,
        laws.corpus.is_the_same_later,
    )
]
# Few inputs, because each is a question to another process. The kinds differ in the class of their inputs.
PROCESS = [
    replace(
        check((kind,), laws.process.is_the_same_in_another_process, inputs, case=case, share=0.1, level="2"),
        id=f"{kind}_is_the_same_in_another_process",
    )
    for kind, inputs, case in (
        ("tokenizer", texts, laws.tokenizer.TextCase),
        ("optimizer", bowls, laws.optimizer.BowlCase),
        ("schedule", runs, laws.schedule.RunCase),
        ("corpus", no_input, laws.corpus.NoCase),
    )
]

DATA_CHECKS = (
    *TOKENIZER,
    *OPTIMIZER,
    *SCHEDULE,
    *CORPUS,
    *TOKENIZER_2,
    *OPTIMIZER_2,
    *SCHEDULE_2,
    *CORPUS_2,
    *PROCESS,
)
