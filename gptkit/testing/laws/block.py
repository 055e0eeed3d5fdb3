"""Laws of every block: it uses the parts that it is given, of any class."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.interfaces import Attention, AttentionContext, Block, BlockParts, Dims, FeedForward, LayerCache, Norm
from gptkit.nn import KVCache, Linear
from gptkit.testing.case import Build, Case
from gptkit.testing.laws.module import keeps_shape_and_dtype


class RunningMean(Attention):
    """The mean of all positions so far: an attention that shares only the interface with the built-in ones."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.values = Linear(dims.n_embd, dims.n_embd)

    def forward(
        self, x: Float[Tensor, "B T C"], ctx: AttentionContext = AttentionContext()
    ) -> Float[Tensor, "B T C"]:
        """Return the running mean."""
        count = torch.arange(1, x.shape[1] + 1, dtype=x.dtype, device=x.device)[:, None]
        return self.values(x).cumsum(dim=1) / count

    def new_cache(self, batch_size: int, length: int) -> LayerCache:
        """Return a cache that is never used."""
        return KVCache(batch_size, 1, length, 1, like=self.values.weight)


class Halved(FeedForward):
    """Halves each number."""

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return half the input."""
        return x / 2


class Shifted(Norm):
    """Adds a constant to each number."""

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return the input, shifted."""
        return x + 0.1


def takes_any_parts(build: Build[Block], case: Case) -> None:
    """Assert that a block works with any parts that implement the interfaces."""

    def with_foreign_parts(dims: Dims, **options: int) -> Block:
        return build(dims, parts=BlockParts(RunningMean, Halved, Shifted), **options)

    keeps_shape_and_dtype(with_foreign_parts, case)


def uses_the_parts_it_is_given(build: Build[Block], case: Case) -> None:
    """Assert that a block uses the parts that it is given and makes no attention, feed-forward or norm itself."""
    built: list[nn.Module] = []

    def recorded(part: type[nn.Module], dims: Dims) -> Any:
        built.append(part(dims))
        return built[-1]

    parts = BlockParts(*(partial(recorded, part) for part in (RunningMean, GeluFeedForward, LayerNorm)))
    block = build(case.dims(), parts=parts, **dict(case.options))
    # A block may do without norms: the model's last norm is of the recipe's kind too.
    for name, kind in (("attention", Attention), ("feed-forward", FeedForward)):
        if not any(isinstance(part, kind) for part in built):
            raise AssertionError(
                f"it does not ask `parts` for its {name}: a recipe's would not be trained ({case})"
            )
    given = {inner for part in built for inner in part.modules()}
    for name, module in block.named_modules():
        if isinstance(module, Attention | FeedForward | Norm) and module not in given:
            raise AssertionError(
                f"it makes {name}, a {type(module).__name__}, itself: take it from `parts` ({case})"
            )
    if forgotten := [type(part).__name__ for part in built if part not in set(block.modules())]:
        raise AssertionError(
            f"it asks `parts` for a {forgotten[0]} and does not keep it: it would not be trained ({case})"
        )
