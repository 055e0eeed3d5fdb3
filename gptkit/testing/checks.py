"""The contract: every check, and the kinds of parts that make its promise.

A level is frozen once it is released. New checks get a new level, so that a plugin's tests do not break before its
author asks for that level.
"""

from functools import partial

from hypothesis import strategies as st

from gptkit.interfaces import HasReference
from gptkit.nn import SoftmaxAttention
from gptkit.testing import laws
from gptkit.testing.attend_equivalence import attends_as_reference
from gptkit.testing.check import check, check_in_dtypes
from gptkit.testing.data_checks import DATA_CHECKS
from gptkit.testing.equivalence import equals_reference
from gptkit.testing.module_checks import DROPPERS, MIXERS, MODULE_CHECKS_2, MODULES
from gptkit.testing.strategies import (
    Inputs,
    attended_cases,
    broad_cases,
    far_cases,
    long_cases,
    small_cases,
)

# One shape for each number and width of heads, because compiling takes seconds.
one_shape: Inputs = partial(broad_cases, B=st.just(2), T=st.just(5), strided=st.just(False), spare=st.just(3))
one_width: Inputs = partial(broad_cases, B=st.just(2), T=st.just(9), strided=st.just(False))

EVERY_MODULE = [
    check(MODULES, laws.module.keeps_shape_and_dtype, small_cases, is_core=True),
    check(MODULES, laws.module.varies_with_the_input, broad_cases, share=0.2),
    check(MODULES, laws.module.rows_are_independent, small_cases, is_core=True),
    check(MODULES, laws.module.reads_any_layout),
    check(MODULES, laws.module.input_is_not_mutated),
    check(MODULES, laws.module.every_parameter_gets_a_gradient, broad_cases, share=0.2),
    check(MODULES, laws.number.is_finite, small_cases, is_core=True),
    check(MODULES, laws.number.is_precise, broad_cases),
    check(MODULES, laws.number.is_right_in_bfloat16, broad_cases),
    check(MODULES, laws.number.takes_autocast, broad_cases, share=0.2),
    check(MODULES, laws.gradient.gradients_are_right, broad_cases, share=0.5, is_core=True),
    check(MODULES, laws.state.eval_is_deterministic, share=0.5),
    check(MODULES, laws.state.trains_as_it_evaluates, broad_cases, share=0.2),
    check(MODULES, laws.state.forgets_earlier_passes, small_cases, share=0.2),
    check(MODULES, laws.state.first_weights_are_drawn, broad_cases, share=0.2),
    check(MODULES, laws.state.state_dict_round_trips, small_cases, share=0.5),
    check(MODULES, laws.state.reads_only_what_was_written, small_cases, share=0.5),
    check(MODULES, laws.limit.limits_are_declared, small_cases, share=0.1),
    check(MODULES, laws.compile.compiles_to_one_graph, one_shape, share=0.02),
    check(MODULES, laws.compile.compiles_for_any_length, one_shape, share=0.02),
    check(MODULES, laws.compile.compiled_equals_eager, one_shape, share=0.02),
]
EACH_POSITION_ALONE = [
    check(("feed_forward", "norm"), laws.module.positions_are_independent, small_cases, is_core=True),
    check(("norm",), laws.number.is_finite_at_rest, small_cases),
    check(("norm",), laws.number.is_precise_far_from_zero, broad_cases, share=0.2),
]
DROPOUT = [
    check(DROPPERS, laws.dropout.dropout_is_off_in_eval, broad_cases, share=0.5),
    check(DROPPERS, laws.dropout.dropout_follows_the_seed, broad_cases, share=0.5),
    check(DROPPERS, laws.gradient.gradients_are_right_in_training, broad_cases, share=0.2),
    check(("attention", "feed_forward"), laws.dropout.dropout_keeps_the_mean, one_width, share=0.1),
    check(("attention", "feed_forward"), laws.dropout.output_dropout_has_its_rate, one_width, share=0.1),
    check(("attention",), laws.dropout.dropout_has_its_rate, broad_cases, share=0.2, only=(SoftmaxAttention,)),
    check(("attention",), laws.dropout.dropout_is_independent, broad_cases, share=0.1, only=(SoftmaxAttention,)),
]
BLOCK = [
    check(("block",), laws.block.takes_any_parts, small_cases, share=0.2),
    check(("block",), laws.block.uses_the_parts_it_is_given, small_cases, share=0.2, is_core=True),
]
MIXING = [
    check(MIXERS, laws.attention.never_reads_the_future, is_core=True),
    check(MIXERS, laws.attention.reads_the_past, broad_cases, share=0.2),
    check(("attention",), laws.attention.constant_input_stays_constant, small_cases, only=(SoftmaxAttention,)),
    check(MIXERS, laws.attention.honours_attn_mask, small_cases, asks="a mask"),
    check(MIXERS, laws.attention.uses_its_context, broad_cases, share=0.2, asks="a position that rotates"),
    check(MIXERS, laws.cache.cache_changes_nothing, small_cases),
    check(MIXERS, laws.cache.cache_keeps_positions, small_cases, share=0.5, asks="a position that rotates"),
    check(MIXERS, laws.cache.caches_are_apart, small_cases, share=0.5),
    check(MIXERS, laws.cache.decoding_waits_for_nothing, small_cases, share=0.2),
    check(MIXERS, laws.compile.decoding_compiles_once, one_shape, share=0.02),
]
ATTEND = [
    check(("attention",), law, attended_cases, only=(SoftmaxAttention,))
    for law in (
        laws.attend.sees_up_to_itself,
        laws.attend.constant_values_come_back,
        laws.attend.attend_honours_attn_mask,
        laws.attend.broadcasts_attn_mask,
        laws.attend.attend_mutates_nothing,
        laws.attend.attend_forgets,
    )
]
REFERENCE = [
    check(MODULES, laws.reference.reference_keeps_the_laws, broad_cases, share=0.2, only=(HasReference,)),
    *check_in_dtypes(MODULES, equals_reference, attended_cases, only=(SoftmaxAttention, HasReference)),
    *check_in_dtypes(
        ("attention",),
        equals_reference,
        long_cases,
        suffix="_when_long",
        only=(SoftmaxAttention, HasReference),
        share=0.4,
    ),
    *check_in_dtypes(("attention",), attends_as_reference, attended_cases, only=(SoftmaxAttention,)),
    *check_in_dtypes(
        ("attention",), attends_as_reference, far_cases, suffix="_from_afar", only=(SoftmaxAttention,), share=0.2
    ),
]
POSITION = [
    check(("position",), law, small_cases, is_core=True)
    for law in (
        laws.position.starts_anywhere,
        laws.position.reads_positions_on_the_device,
        laws.position.position_mutates_nothing,
    )
]
CHECKS = (
    *EVERY_MODULE,
    *EACH_POSITION_ALONE,
    *DROPOUT,
    *BLOCK,
    *MIXING,
    *ATTEND,
    *REFERENCE,
    *POSITION,
    *MODULE_CHECKS_2,
    *DATA_CHECKS,
)
