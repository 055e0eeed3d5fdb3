"""The checks of modules that came with level 2 of the contract."""

from gptkit.testing import laws
from gptkit.testing.check import check
from gptkit.testing.strategies import broad_cases, small_cases

MODULES = ("attention", "feed_forward", "norm", "position", "block")
MIXERS = ("attention", "block")

LATER_MODULE_CHECKS = [
    check(MIXERS, laws.mask.reads_every_form_of_mask, small_cases, share=0.1, level="2"),
    check(MIXERS, laws.mask.reads_the_mask_of_each_head, broad_cases, share=0.1, level="2"),
    check(MIXERS, laws.mask.decodes_without_a_mask, small_cases, share=0.2, level="2"),
    check(MIXERS, laws.cache.written_again_is_replaced, small_cases, share=0.2, level="2"),
    check(MIXERS, laws.cache.decodes_what_it_has_learnt, small_cases, share=0.2, level="2"),
]
