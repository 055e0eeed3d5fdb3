"""Under which conditions attentions are compared: the recipe's, with fewer rows where that would take minutes."""

from dataclasses import dataclass

import torch

from gptkit.interfaces import Dims
from gptkit.testing.case import Case
from gptkit.training.precision import DTYPES

# A pass of 4 billion operations, or the proof on 4 million scores, takes two CPU cores a fraction of a second.
# With the scores of a longer context `naive` would fill the memory.
CPU_OPERATIONS, CPU_SCORES, CPU_POSITIONS = 4 * 10**9, 2**22, 4096
# An accelerator passes whole batches; the proof needs several float64 tensors of so many scores.
SCORES, POSITIONS = 2**27, 8192


@dataclass(frozen=True)
class TimingConditions:
    """Under which attentions are timed: those of one pass of a recipe's training.

    On a CPU the pass has fewer rows than the recipe's where it would take more than a fraction of a second, and no
    more than 4,096 positions. The proof, in float64 and one head at a time, has fewer rows still, and no more than
    8,192 positions on any device.

    Args:
        dtype: Precision of the matrix products, as a recipe names it.
        is_whole: Whether the projections are timed too. They are where an attention has a `forward` of its own;
            where all inherit it they are the same, and would only hide the rest.
        compile: Whether the pass goes through `torch.compile`.
        deterministic: Whether only algorithms are used that give the same bits each time.
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
        # Of two products with every key, forward and backward.
        operations = 3 * 4 * self.positions**2 * self.dims.n_embd
        affordable = CPU_OPERATIONS // operations if self.device.type == "cpu" else self.batch_size
        return max(1, min(self.batch_size, affordable))

    def case(self) -> Case:
        """Return the input of the proof: the shape of the timed pass, with as many rows as can be afforded."""
        is_cpu = self.device.type == "cpu"
        T = self.positions if is_cpu else min(self.positions, POSITIONS)
        rows = (CPU_SCORES if is_cpu else SCORES) // (self.dims.n_head * T * T)
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
        """Return the conditions in words."""
        sizes = f"{self.rows} of {self.batch_size} rows, {self.positions} of {self.dims.block_size} positions"
        words = [word for word in ("compile", "deterministic") if getattr(self, word)]
        words.insert(0, "projections included" if self.is_whole else "projections left out, which all share")
        width, dropout = self.dims.head_width, self.dims.dropout
        heads = f"{self.dims.n_head} heads of {width} channels, dropout {dropout:g}"
        return ", ".join([sizes, heads, f"{self.dtype} on {self.device}", *words])
