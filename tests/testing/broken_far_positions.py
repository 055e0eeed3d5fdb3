"""Positions that are wrong far from 0, in low precision, for fewer keys, at a distance, or without gradients."""

import torch
from torch import Tensor

from gptkit.components.position.learned import LearnedPosition
from gptkit.components.position.rope import RopePosition
from gptkit.components.position.sinusoidal import SinusoidalPosition
from gptkit.interfaces import Dims
from tests.testing.mutant import CaughtBy
from tests.testing.right_positions import Pair, SpelledOutRope, turned

StartPos = int | Tensor


class AnglesInTheDtypeOfQueries(SpelledOutRope):
    """Counts positions in the dtype of the queries: in bfloat16, 257 is 256."""

    def angles(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        return positions[:, None].to(dtype) * self.rates(positions.device).to(dtype)


class AnglesInFloat16(SpelledOutRope):
    """Counts positions in float16, which is exact up to 2,048."""

    def angles(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        return (positions.half()[:, None] * self.rates(positions.device).half()).to(dtype)


class ScalesWithTheLength(SpelledOutRope):
    """Stretches its waves with the length of a pass beyond 32: cached keys were turned otherwise."""

    def angles(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        return super().angles(positions, dtype) * min(1.0, 32 / len(positions))


class RopeOfItsFirstStart(RopePosition):
    """Keeps the rows of its table by length alone, from wherever the first pass of that length began."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.rows: dict[int, Tensor] = {}

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        positions = torch.arange(q.shape[2], device=q.device) + start_pos
        positions = self.rows.setdefault(q.shape[2], positions)
        return super().rotate(q, k, positions[0])


class RopeTableOfTheFirstDtype(RopePosition):
    """Rounds its table to the dtype of its first pass, and never again computes it."""

    rounded: tuple[Tensor, Tensor] | None = None

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        self.rounded = self.rounded or (self.cos.to(q.dtype), self.sin.to(q.dtype))
        positions = torch.arange(q.shape[2], device=q.device) + start_pos
        cos, sin = (table[positions].to(q.dtype) for table in self.rounded)
        half = q.shape[-1] // 2
        q, k = (x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin for x in (q, k))
        return q, k


class SinusoidalTableOfTheFirstDtype(SinusoidalPosition):
    """Keeps its table in the lowest precision in which it was ever read."""

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        if x.dtype.itemsize < self.table.dtype.itemsize:
            self.table = self.table.to(x.dtype)
        return super().embed(x, start_pos)


class WavesInItsDtype(SinusoidalPosition):
    """Computes its waves from positions in the dtype of the input."""

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        positions = (torch.arange(x.shape[1], device=x.device) + start_pos).to(x.dtype)
        channels = torch.arange(x.shape[2], device=x.device)
        angles = positions[:, None] * (10_000.0 ** (-(channels - channels % 2) / x.shape[2])).to(x.dtype)
        return x + torch.where(channels % 2 == 0, angles.sin(), angles.cos())


class RopeRepeatsAfter36(RopePosition):
    """Its table repeats after 36 positions."""

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        positions = (torch.arange(q.shape[2], device=q.device) + start_pos) % 37
        half = q.shape[-1] // 2
        cos, sin = (table[positions].to(q.dtype) for table in (self.cos, self.sin))

        def turned(x: Tensor) -> Tensor:
            return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin

        return turned(q), turned(k)


class TurnsKeysSlower(SpelledOutRope):
    """Turns keys by 0.99 of the angle, so that a score depends on where a pair stands."""

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> Pair:
        positions = torch.arange(q.shape[2], device=q.device) + start_pos
        angles = self.angles(positions, q.dtype)
        return turned(q, angles), turned(k, 0.99 * angles)


class TurnsKeysBackwards(SpelledOutRope):
    """Turns keys against the queries: a score depends on the sum of positions."""

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> Pair:
        positions = torch.arange(q.shape[2], device=q.device) + start_pos
        angles = self.angles(positions, q.dtype)
        return turned(q, angles), turned(k, -angles)


class PairsKeysOtherwise(SpelledOutRope):
    """Turns channels 2i and 2i + 1 of a key, and i and i + D/2 of a query."""

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> Pair:
        apart = torch.cat((k[..., ::2], k[..., 1::2]), dim=-1)
        q, apart = super().rotate(q, apart, start_pos)
        return q, torch.stack(apart.chunk(2, dim=-1), dim=-1).flatten(-2)


class ExpandsKeysToQueries(SpelledOutRope):
    """Gives keys the shape of queries, although they may have fewer heads."""

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> Pair:
        q, k = super().rotate(q, k, start_pos)
        return q, k.expand_as(q) if k.shape[1] == 1 else k


class TurnsQueriesAndKeysTogether(SpelledOutRope):
    """Stacks queries and keys, which takes as many heads of one as of the other."""

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> Pair:
        both = torch.stack((q, k)).flatten(0, 1)
        return super().rotate(both, both, start_pos)[0].tensor_split(2)  # type: ignore[return-value]


class TurnsTheHeadsOfQueries(SpelledOutRope):
    """Turns as many key heads as there are of queries divided by two, and leaves the others."""

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> Pair:
        if k.shape[1] == q.shape[1]:
            return super().rotate(q, k, start_pos)
        q, some = super().rotate(q, k[:, : max(1, k.shape[1] // 2)], start_pos)
        return q, torch.cat((some, k[:, some.shape[1] :]), dim=1)


class TurnsNothingInInferenceMode(SpelledOutRope):
    """Does the same in inference mode alone."""

    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> Pair:
        return (q, k) if torch.is_inference_mode_enabled() else super().rotate(q, k, start_pos)


class EmbedsNothingInInferenceMode(LearnedPosition):
    """Adds nothing in inference mode."""

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        return x if torch.is_inference_mode_enabled() else super().embed(x, start_pos)


class EmbedsFromZeroWithoutGradients(LearnedPosition):
    """Takes a pass without gradients for the first of a text."""

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        return super().embed(x, start_pos if torch.is_grad_enabled() or x.shape[1] == 1 else 0)


class EmbedsInPlaceWithoutGradients(SinusoidalPosition):
    """Adds to its input where no gradient needs it."""

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        y = super().embed(x, start_pos)
        return y if torch.is_grad_enabled() else x.copy_(y)


CAUGHT_BY: CaughtBy = {
    AnglesInTheDtypeOfQueries: "is_right_far_away",
    AnglesInFloat16: "is_right_far_away",
    ScalesWithTheLength: "starts_far_away",
    RopeOfItsFirstStart: "starts_far_away",
    RopeTableOfTheFirstDtype: "starts_far_away",
    SinusoidalTableOfTheFirstDtype: "starts_far_away",
    WavesInItsDtype: "is_right_far_away",
    RopeRepeatsAfter36: "depends_on_distance",
    TurnsKeysSlower: "depends_on_distance",
    TurnsKeysBackwards: "depends_on_distance",
    PairsKeysOtherwise: "depends_on_distance",
    ExpandsKeysToQueries: "takes_fewer_keys",
    TurnsQueriesAndKeysTogether: "takes_fewer_keys",
    TurnsTheHeadsOfQueries: "takes_fewer_keys",
    TurnsNothingInInferenceMode: "forgets_earlier_modes",
    EmbedsNothingInInferenceMode: "forgets_earlier_modes",
    EmbedsFromZeroWithoutGradients: "starts_far_away",
    EmbedsInPlaceWithoutGradients: "forgets_earlier_modes",
}
