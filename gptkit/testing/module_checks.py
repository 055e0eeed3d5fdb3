"""The checks of modules that came with level 2 of the contract."""

from functools import partial

from hypothesis import strategies as st

from gptkit.interfaces import HasLimits, RelativePosition
from gptkit.nn import SoftmaxAttention
from gptkit.testing import laws
from gptkit.testing.attend_equivalence import attends_as_reference
from gptkit.testing.check import check
from gptkit.testing.strategies import Inputs, broad_cases, huge_cases, large_cases, small_cases

MODULES = ("attention", "feed_forward", "norm", "position", "block")
MIXERS = ("attention", "block")
DROPPERS = ("attention", "feed_forward", "block")

few_channels: Inputs = partial(broad_cases, T=st.just(2), strided=st.just(False), scale=st.floats(0.5, 2))
one_token: Inputs = partial(small_cases, T=st.just(1), B=st.integers(1, 2))

MODULE_CHECKS_2 = [
    check(MODULES, laws.history.forgets_earlier_modes, broad_cases, share=0.2, level="2"),
    check(MODULES, laws.history.follows_its_weights, broad_cases, share=0.2, level="2"),
    check(MODULES, laws.history.depends_on_its_input_alone, broad_cases, share=0.2, level="2"),
    check(MODULES, laws.history.trains_on_from_its_state_dict, broad_cases, share=0.1, level="2"),
    check(MODULES, laws.process.is_the_same_in_another_process, broad_cases, share=0.05, level="2"),
    check(MODULES, laws.module.rows_are_independent, large_cases, when="large", share=0.1, level="2"),
    check(MODULES, laws.state.forgets_earlier_passes, large_cases, when="large", share=0.1, level="2"),
    check(
        ("feed_forward", "norm"),
        laws.module.positions_are_independent,
        large_cases,
        when="large",
        share=0.1,
        level="2",
    ),
    check(MIXERS, laws.attention.never_reads_the_future, large_cases, when="large", share=0.2, level="2"),
    check(MIXERS, laws.attention.never_reads_the_future, huge_cases, when="scores_are_huge", share=0.2, level="2"),
    check(MIXERS, laws.cache.cache_changes_nothing, large_cases, when="large", share=0.05, level="2"),
    check(MIXERS, laws.cache.decodes_under_autocast, small_cases, share=0.2, level="2"),
    check(MIXERS, laws.limit.keeps_its_limits, small_cases, share=0.2, only=(HasLimits,), level="2"),
    check(MIXERS, laws.cache.chunks_change_nothing, small_cases, share=0.5, level="2"),
    check(MIXERS, laws.cache.chunks_change_nothing, large_cases, when="large", share=0.05, level="2"),
    check(MIXERS, laws.cache.constant_size_is_declared, broad_cases, share=0.05, level="2"),
    check(MODULES, laws.gradient.gradients_are_right, one_token, when="there_is_one_token", share=0.1, level="2"),
    check(MIXERS, laws.mask.reads_every_form_of_mask, small_cases, share=0.1, level="2", asks="a mask"),
    check(MIXERS, laws.mask.reads_the_mask_of_each_head, broad_cases, share=0.1, level="2", asks="a mask"),
    check(MIXERS, laws.mask.reads_packed_texts_apart, small_cases, share=0.2, level="2", asks="packed texts"),
    check(MIXERS, laws.mask.decodes_without_a_mask, small_cases, share=0.2, level="2"),
    check(
        MIXERS,
        laws.attention.honours_attn_mask,
        huge_cases,
        when="scores_are_huge",
        share=0.1,
        level="2",
        asks="a mask",
    ),
    check(MIXERS, laws.kept.written_again_is_replaced, small_cases, share=0.2, level="2"),
    check(MIXERS, laws.kept.decodes_what_it_has_learnt, small_cases, share=0.2, level="2"),
    check(DROPPERS, laws.dropout.rows_drop_independently, few_channels, share=0.02, level="2"),
    check(
        ("attention", "feed_forward"), laws.dropout.steps_drop_independently, few_channels, share=0.06, level="2"
    ),
    check(
        ("attention",),
        laws.dropout.weights_drop_independently,
        broad_cases,
        share=0.02,
        only=(SoftmaxAttention,),
        level="2",
    ),
    check(
        ("attention",),
        attends_as_reference,
        large_cases,
        when="large",
        only=(SoftmaxAttention,),
        share=0.06,
        level="2",
    ),
    check(("position",), laws.position.takes_fewer_keys, small_cases, share=0.2, level="2"),
    check(("position",), laws.position.starts_far_away, broad_cases, share=0.1, level="2"),
    check(("position",), laws.position.is_right_far_away, broad_cases, share=0.1, level="2"),
    check(
        ("position",),
        laws.position.depends_on_distance,
        broad_cases,
        share=0.1,
        only=(RelativePosition,),
        level="2",
    ),
]
