"""Every deliberately broken part, and what must catch it."""

from tests.testing import (
    broken_arithmetic,
    broken_attends,
    broken_attentions,
    broken_blocks,
    broken_data,
    broken_feed_forwards,
    broken_graphs,
    broken_kernels,
    broken_memories,
    broken_modules,
    broken_optimizers,
    broken_schedules,
    survivors_of_attentions,
    survivors_of_data,
    survivors_of_modules,
)

TABLES = (
    broken_attends,
    broken_kernels,
    broken_arithmetic,
    broken_attentions,
    broken_memories,
    broken_feed_forwards,
    broken_modules,
    broken_blocks,
    broken_data,
    broken_optimizers,
    broken_schedules,
    broken_graphs,
)
CAUGHT_BY: dict[type, tuple[str, ...]] = {
    mutant: tuple(checks.split()) for table in TABLES for mutant, checks in table.CAUGHT_BY.items()
}
SURVIVORS = (survivors_of_attentions, survivors_of_modules, survivors_of_data)
LIVES: dict[type, str] = {part: reason for table in SURVIVORS for part, reason in table.LIVES.items()}
