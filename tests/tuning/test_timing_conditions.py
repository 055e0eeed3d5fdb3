"""Conditions are the recipe's, with fewer rows on a CPU where a pass would take long."""

import pytest
import torch

from gptkit.tuning.timing_conditions import TimingConditions
from tests.small import small_dims

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def conditions(device: torch.device = CPU, dtype: str = "fp32", **sizes: int) -> TimingConditions:
    batch_size = sizes.pop("batch_size", 64)
    return TimingConditions(
        small_dims(**({"n_head": 6, "n_embd": 384, "block_size": 256} | sizes)), batch_size, dtype, device
    )


def test_a_small_recipe_is_timed_as_it_is() -> None:
    found = conditions(batch_size=12, n_head=4, n_embd=128, block_size=64)
    assert (found.rows, found.positions) == (12, 64)
    case = found.case()
    assert (case.B, case.H, case.T, case.D, case.spare) == (12, 4, 64, 32, 0)


def test_a_cpu_gets_fewer_rows_of_the_same_shape() -> None:
    found, case = conditions(), conditions().case()
    assert 1 < case.B <= found.rows < 64
    assert (found.positions, case.H, case.T, case.D) == (256, 6, 256, 64)


@pytest.mark.parametrize(("device", "timed", "proven"), [(CPU, 4096, 4096), (CUDA, 16384, 8192)])
def test_a_long_context_is_one_row_and_as_long_as_memory_allows(
    device: torch.device, timed: int, proven: int
) -> None:
    found = conditions(device, block_size=16384, batch_size=1)
    assert (found.rows, found.positions) == (1, timed)
    case = found.case()
    assert (case.B, case.T, case.dims().block_size) == (1, proven, 16384)


def test_an_accelerator_passes_whole_batches_in_the_recipes_dtype() -> None:
    found = conditions(CUDA, "bf16")
    assert (found.rows, found.case().dtype) == (64, torch.bfloat16)


def test_conditions_are_told_in_words() -> None:
    found = conditions(batch_size=12, n_head=4, n_embd=128, block_size=64)
    said = "12 of 12 rows, 64 of 64 positions, 4 heads of 32 channels, dropout 0, fp32 on cpu"
    assert str(found) == f"{said}, projections left out, which all share"
