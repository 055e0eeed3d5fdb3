"""Every deliberately broken part, and the checks that must catch it."""

from tests.testing import (
    broken_arithmetic,
    broken_at_length,
    broken_attends,
    broken_attentions,
    broken_blocks,
    broken_caches,
    broken_data,
    broken_feed_forwards,
    broken_graphs,
    broken_groups,
    broken_hidden_inputs,
    broken_histories,
    broken_kernels,
    broken_limits,
    broken_modules,
    broken_optimizers,
    broken_schedules,
    broken_tokenizers,
    subtle_attentions,
    subtle_data,
    subtle_modules,
)

TABLES = (
    broken_attends,
    broken_kernels,
    broken_limits,
    broken_arithmetic,
    broken_attentions,
    broken_caches,
    broken_feed_forwards,
    broken_modules,
    broken_blocks,
    broken_data,
    broken_optimizers,
    broken_schedules,
    broken_graphs,
    broken_histories,
    broken_hidden_inputs,
    broken_at_length,
    broken_tokenizers,
    broken_groups,
    subtle_attentions,
    subtle_modules,
    subtle_data,
)
CAUGHT_BY: dict[type, tuple[str, ...]] = {
    mutant: tuple(checks.split()) for table in TABLES for mutant, checks in table.CAUGHT_BY.items()
}
