"""The keys of a recipe's `[train]` section, besides its parts. Read before PyTorch is imported."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

Dtype = Literal["auto", "fp32", "bf16", "fp16"]
# Pairs of a step and a total: from that step on, the rest of the schedule is spread over a run of so many steps.
Retimed = tuple[tuple[NonNegativeInt, PositiveInt], ...]


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How long to train, on which device, and how often to evaluate and save.

    Intervals are in optimizer steps; 0 means only at the end. `log_interval` is between rows of metrics.

    Args:
        batch_size: Sequences in one forward pass.
        retimed: How the schedule was stretched or shortened. Written by `--time` when the machine's speed changes,
            so that the run can be repeated.
        seed: Every random draw of the run derives from it.
        keep: Number of latest checkpoints to keep, besides the best.
        grad_clip: Largest total gradient norm; 0 is no limit.
        grad_accumulation: Micro-batches in one step.
        dtype: Precision of the matrix products; weights stay in fp32. `auto` takes the fastest on this machine.
        device: `auto`, or PyTorch's name of a device: `cpu`, `cuda`, `cuda:1`, `mps`.
        compile: Whether to train with `torch.compile`, and on CUDA with a CUDA graph, unless activations are
            checkpointed. `auto` times it if the run is long enough, and keeps the faster way.
        checkpoint_activations: Whether to recompute each block's activations in the backward pass, which saves
            memory, takes time and changes no weight.
    """

    batch_size: PositiveInt
    max_iters: PositiveInt
    retimed: Retimed = ()
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1337
    eval_interval: NonNegativeInt = 500
    log_interval: PositiveInt = 10
    sample_interval: NonNegativeInt = 0
    checkpoint_interval: NonNegativeInt = 500
    keep: PositiveInt = 3
    grad_clip: NonNegativeFloat = 0.0
    grad_accumulation: PositiveInt = 1
    dtype: Dtype = "auto"
    device: str = "auto"
    compile: bool | Literal["auto"] = "auto"
    deterministic: bool = False
    checkpoint_activations: bool = False

    @property
    def length(self) -> tuple[int, Retimed]:
        """The number of steps, and how the schedule was retimed."""
        return self.max_iters, self.retimed
