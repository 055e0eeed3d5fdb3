"""Laws of every block: it uses the parts that it is given, whatever they are."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.interfaces import Attention, Block, Dims, FeedForward, Memory, Norm, Place
from gptkit.kv_cache import KVCache
from gptkit.layers import Linear
from gptkit.testing.case import Build, Case
from gptkit.testing.module_laws import keeps_shape_and_dtype
from gptkit.testing.parts import GivenParts


class RunningMean(Attention):
    """The mean of all positions up to one: an attention that shares nothing with ours but its interface."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.values = Linear(dims.n_embd, dims.n_embd)

    def forward(self, x: Float[Tensor, "B T C"], at: Place = Place()) -> Float[Tensor, "B T C"]:
        """Return the running mean."""
        count = torch.arange(1, x.shape[1] + 1, dtype=x.dtype, device=x.device)[:, None]
        return self.values(x).cumsum(dim=1) / count

    def new_memory(self, batch_size: int, length: int) -> Memory:
        """Return a memory that is not used."""
        return KVCache(batch_size, 1, length, 1, like=self.values.weight)


class Halved(FeedForward):
    """Half of each number."""

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return every position, halved."""
        return x / 2


class Shifted(Norm):
    """Each number, and a little more."""

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """Return every position, shifted."""
        return x + 0.1


class Counted(GivenParts):
    """Parts that remembers what it built."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims, RunningMean, GeluFeedForward, LayerNorm)
        self.built: list[nn.Module] = []

    def attention(self) -> Attention:
        """Return a new attention, and remember it."""
        self.built.append(part := super().attention())
        return part

    def feed_forward(self) -> FeedForward:
        """Return a new feed-forward, and remember it."""
        self.built.append(part := super().feed_forward())
        return part

    def norm(self) -> Norm:
        """Return a new norm, and remember it."""
        self.built.append(part := super().norm())
        return part


def takes_any_parts(build: Build[Block], case: Case) -> None:
    """Assert that a block works with parts that have nothing but their interfaces."""

    def with_strangers(dims: Dims, **options: int) -> Block:
        return build(dims, parts=[GivenParts(dims, RunningMean, Halved, Shifted)], **options)

    keeps_shape_and_dtype(with_strangers, case)


def uses_the_parts_it_is_given(build: Build[Block], case: Case) -> None:
    """Assert that a block holds the parts that it was given, and no attention, feed-forward or norm besides."""
    counted = Counted(case.dims())
    block = build(case.dims(), parts=[counted], **dict(case.options))
    given = {inner for part in counted.built for inner in part.modules()}
    for name, module in block.named_modules():
        if isinstance(module, Attention | FeedForward | Norm) and module not in given:
            raise AssertionError(
                f"{name} is a {type(module).__name__} of its own making: ask `parts` for it ({case})"
            )
    if forgotten := [type(part).__name__ for part in counted.built if part not in set(block.modules())]:
        raise AssertionError(
            f"it asks for a {forgotten[0]} and does not keep it: it would not be trained ({case})"
        )
