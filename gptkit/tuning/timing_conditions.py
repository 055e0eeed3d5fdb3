"""The shape at which attentions are timed: the recipe's, with fewer rows where that would take minutes."""

from dataclasses import dataclass

import torch

from gptkit.interfaces import Dims
from gptkit.testing.case import Case
from gptkit.training.precision import DTYPES

# On a CPU. 4 billion operations, or a proof on 4 million scores, take two cores a fraction of a second; the scores
# of more positions would not fit into memory for `naive`.
CPU_OPERATIONS, CPU_SCORES, CPU_POSITIONS = 4 * 10**9, 2**22, 4096
# On an accelerator only the proof is limited: it needs several float64 tensors of so many scores.
SCORES, POSITIONS = 2**27, 8192


@dataclass(frozen=True)
class TimingConditions:
    """What attentions are timed under: one forward and backward pass of a recipe's training.

    Args:
        dtype: Precision of the matrix products, as a recipe names it.
        is_whole: Whether the projections are timed too: only if some attention has a `forward` of its own. Where
            all inherit it, the projections are the same and would only blur the difference.
    """

    dims: Dims
    batch_size: int
    dtype: str
    device: torch.device
    is_whole: bool = False
    compile: bool = False
    deterministic: bool = False

    @property
    def positions(self) -> int:
        """Positions of a timed pass."""
        return min(self.dims.block_size, CPU_POSITIONS) if self.device.type == "cpu" else self.dims.block_size

    @property
    def rows(self) -> int:
        """Rows of a timed pass."""
        # Two products of queries or weights with every key; forward is one third of a training pass.
        operations = 3 * 4 * self.positions**2 * self.dims.n_embd
        affordable = CPU_OPERATIONS // operations if self.device.type == "cpu" else self.batch_size
        return max(1, min(self.batch_size, affordable))

    def case(self) -> Case:
        """Return the input of the proof: the shape of the timed pass, with as many rows as are affordable."""
        T = min(self.positions, POSITIONS)
        rows = (CPU_SCORES if self.device.type == "cpu" else SCORES) // (self.dims.n_head * T * T)
        return Case(
            B=max(1, min(self.rows, rows)),
            H=self.dims.n_head,
            T=T,
            D=self.dims.head_width,
            spare=self.dims.block_size - T,
            dtype=DTYPES[self.dtype],
            device=self.device,
        )

    def __str__(self) -> str:
        """Return the conditions as an error and the command line show them."""
        words = [
            f"{self.rows} of {self.batch_size} rows",
            f"{self.positions} of {self.dims.block_size} positions",
            f"{self.dims.n_head} heads of {self.dims.head_width} channels",
            f"dropout {self.dims.dropout:g}",
            f"{self.dtype} on {self.device}",
            "projections included" if self.is_whole else "projections left out, which all share",
        ]
        return ", ".join([*words, *(word for word in ("compile", "deterministic") if getattr(self, word))])
