"""The keys of a recipe's `[train]` section, besides its parts."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

Dtype = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How long to train, on what, and how often to look. Intervals are in steps; 0 is only at the end.

    Args:
        batch_size: Sequences in one forward pass.
        max_iters: Optimizer steps.
        seed: Every random draw of the run comes from it.
        eval_interval: Steps between evaluations.
        log_interval: Steps between rows of metrics.
        sample_interval: Steps between samples of text.
        checkpoint_interval: Steps between checkpoints.
        keep: How many of the latest checkpoints stay, besides the best.
        grad_clip: Largest norm of all gradients together; 0 is no limit.
        grad_accumulation: Forward passes whose gradients make up one step.
        dtype: Precision of the matrix products; weights stay in fp32. `auto` is the faster one on this machine.
        device: `auto`, or what PyTorch calls it: `cpu`, `cuda`, `cuda:1`, `mps`.
        compile: Whether training goes through `torch.compile`, and on CUDA through a CUDA graph. `auto` tries it
            if the run is long enough for that, and keeps what is faster.
        deterministic: Whether only algorithms are used that give the same bits each time.
        checkpoint_activations: Whether each block's activations are computed again in the backward pass, which
            takes time instead of memory and changes no weight.
    """

    batch_size: PositiveInt
    max_iters: PositiveInt
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
