"""One input on which a part is checked."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gptkit.interfaces import AttentionContext, Dims, HasLimits
from gptkit.seeds import generator, seeded
from gptkit.testing.input import Input

Module = TypeVar("Module", bound=nn.Module)

# What makes a part from `dims` and options: its class, a `functools.partial` of it, or `Subject.build`.
Build = Callable[..., Module]


@dataclass(frozen=True, kw_only=True)
class Case(Input):
    """The shape, scale and seed of an input, from which the same numbers are drawn every time.

    Args:
        earlier: Number of keys before the first query, S - T.
        scale: Standard deviation of the inputs.
        mask_axes: Axes of the attention mask, such as "T S" or "B 1 T S"; None is the causal mask.
        strided: Whether inputs are stored with their axes in reverse order.
        rotated: Whether a position rotates queries and keys.
        options: Options of the part that differ from their defaults.
        spare: Number of positions by which the context is longer than the input.
    """

    B: int = 2
    H: int = 2
    T: int = 5
    D: int = 4
    earlier: int = 0
    scale: float = 1.0
    mask_axes: str | None = None
    strided: bool = False
    rotated: bool = False
    options: tuple[tuple[str, int], ...] = ()
    spare: int = 3
    seed: int = 0
    dtype: torch.dtype = torch.float64
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def S(self) -> int:  # noqa: N802  # an axis
        """Number of keys."""
        return self.T + self.earlier

    @property
    def C(self) -> int:  # noqa: N802  # an axis
        """Number of channels."""
        return self.H * self.D

    def beyond_the_trivial(self) -> frozenset[str]:
        """Return, in words, the axes on which this input is larger than the smallest there is."""
        axes = {
            "more than one row": self.B > 1,
            "more than one head": self.H > 1,
            "more than one position": self.T > 1,
            "heads of more than one channel": self.D > 1,
            "earlier keys": self.earlier > 0,
            "a mask": self.mask_axes is not None,
            "axes in reverse order in memory": self.strided,
            "a position that rotates": self.rotated,
        }
        return frozenset(axis for axis, is_beyond in axes.items() if is_beyond)

    def dims(self, dropout: float = 0.0) -> Dims:
        """Return the sizes with which a part for this input is built."""
        # A context longer than the input leaves slots in a cache that must not be read.
        block_size = self.S + self.spare
        return Dims(n_layer=1, n_head=self.H, n_embd=self.C, block_size=block_size, vocab_size=7, dropout=dropout)

    def build(self, build: Build[Module], dropout: float = 0.0) -> Module:
        """Return a part for this input in eval mode, with the initial weights that it draws itself."""
        with seeded(torch.device("cpu"), self.seed, "weights"):
            part = build(self.dims(dropout), **dict(self.options))
        if needs_tokens(part):
            part.register_forward_pre_hook(with_tokens, with_kwargs=True)
        return part.to(self.device, self.dtype).eval()

    def draw(self, purpose: str, *shape: int) -> Float[Tensor, "..."]:
        """Return normal numbers, the same for the same seed and purpose."""
        x = torch.randn(shape, generator=generator(self.seed, purpose), dtype=torch.float64)
        x = x.to(self.device, self.dtype)
        return x.transpose(0, -1).contiguous().transpose(0, -1) if self.strided else x

    def x(self) -> Float[Tensor, "B T C"]:
        """Return the input of a part that maps (B, T, C) to (B, T, C)."""
        return self.scale * self.draw("x", self.B, self.T, self.C)

    def qkv(self) -> tuple[Float[Tensor, "B H T D"], Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Return queries, keys and values."""
        q = self.draw("q", self.B, self.H, self.T, self.D)
        k, v = (self.draw(purpose, self.B, self.H, self.S, self.D) for purpose in "kv")
        return self.scale * q, self.scale * k, self.scale * v

    def attn_mask(self) -> Bool[Tensor, "..."] | None:
        """Return the attention mask, or None for the causal one."""
        return None if self.mask_axes is None else self.draw_mask(self.mask_axes)

    def draw_mask(self, axes: str) -> Bool[Tensor, "..."]:
        """Return a mask with the given axes, such as "B 1 T S", that shows about half of the keys.

        Each query sees its own key; without the axis T all queries share a row, which shows the last key.
        """
        sizes = {"B": self.B, "H": self.H, "T": self.T, "S": self.S, "1": 1}
        attn_mask = self.draw("visible", *(sizes[axis] for axis in axes.split())) > 0
        keys = torch.arange(self.S, device=self.device)
        own = keys == keys[self.earlier :, None]  # (T, S)
        return attn_mask | (own if "T" in axes else own[-1])

    def __str__(self) -> str:
        """Return the values from which this input is drawn."""
        sizes = f"B={self.B} H={self.H} T={self.T} S={self.S} D={self.D} scale={self.scale:g} seed={self.seed}"
        words = [
            *([] if self.mask_axes is None else [f"attn_mask='{self.mask_axes}'"]),
            *(name for name in ("strided", "rotated") if getattr(self, name)),
            *(f"{name}={value}" for name, value in self.options),
            str(self.dtype).removeprefix("torch."),
        ]
        return f"{sizes} {' '.join(words)} on {self.device}"


def tokens_of(x: Float[Tensor, "B T C"]) -> Int[Tensor, "B T"]:
    """Return tokens that follow from a layer's input, position by position, so that each law is one of tokens too.

    They follow from the signs of its first channels, which rounding to another dtype leaves as they are.
    """
    signs = (x.detach()[..., :2] > 0).long()
    return signs[..., 0] + 2 * signs[..., -1]


def needs_tokens(part: nn.Module) -> bool:
    """Return whether a part declares that it cannot do without tokens."""
    if not isinstance(part, HasLimits) or part.refusal(AttentionContext()) is None:
        return False
    return part.refusal(AttentionContext(tokens=torch.zeros(1, 1, dtype=torch.int64))) is None


def with_tokens(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Give a part `tokens_of` its input, as a model would give it the tokens of the text."""
    x, ctx = args[0], kwargs.get("ctx", args[1] if len(args) > 1 else AttentionContext())
    return (x, replace(ctx, tokens=tokens_of(x))), {}
