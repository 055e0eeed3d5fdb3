"""Broken norms and positions."""

import torch
from torch import Tensor, nn

from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.position.learned import LearnedPosition
from gptkit.components.position.rope import RopePosition
from gptkit.interfaces import Dims
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import BareNorm

StartPos = int | Tensor


class NormOverTime(LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm((x - x.mean(dim=1, keepdim=True)) / (x.var(dim=1, correction=0, keepdim=True) + 1).sqrt())


class NormOverRows(LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x - x.mean(dim=0))


class EpsOutsideTheRoot(BareNorm):
    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        deviation = centred.square().mean(dim=-1, keepdim=True).sqrt() + self.norm.eps
        return centred / deviation * self.norm.weight + self.norm.bias


class WithoutEps(LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x / x.square().mean(dim=-1, keepdim=True).sqrt())


class NormInBfloat16(LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.bfloat16().to(x.dtype))


class NormOfFloat32InBfloat16(LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.bfloat16().to(x.dtype) if x.dtype == torch.float32 else x)


class DetachedStatistics(BareNorm):
    def forward(self, x: Tensor) -> Tensor:
        scale = x.std(dim=-1, correction=0, keepdim=True).detach() + 1e-5
        return x / scale * self.norm.weight + self.norm.bias


class RunningMean(LayerNorm):
    """Learns a mean from each pass, in eval mode too."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.register_buffer("mean", torch.zeros(dims.n_embd))

    def forward(self, x: Tensor) -> Tensor:
        mean = self.get_buffer("mean")
        y = self.norm(x - mean)
        mean.lerp_(x.detach().mean(dim=(0, 1)).to(mean), 0.1)
        return y


class NormInPlace(LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.sub_(x.mean(dim=-1, keepdim=True)))


class RopeFromZero(RopePosition):
    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        return super().rotate(q, k, 0)


class RopeOneTooFarLater(RopePosition):
    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        return super().rotate(q, k, start_pos + 1 * (torch.as_tensor(start_pos) > 0))


class RopeForNumbersOnly(RopePosition):
    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        return super().rotate(q, k, start_pos if isinstance(start_pos, int) else 0)


class RopeThatWaits(RopePosition):
    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        return super().rotate(q, k, int(start_pos))


class RopeInPlace(RopePosition):
    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        rotated = super().rotate(q, k, start_pos)
        return rotated[0], k.copy_(rotated[1])


class RopeInFloat32(RopePosition):
    def rotate(self, q: Tensor, k: Tensor, start_pos: StartPos) -> tuple[Tensor, Tensor]:
        return super().rotate(q.float(), k.float(), start_pos)


class LearnedFromZero(LearnedPosition):
    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        return super().embed(x, 0)


class LearnedThatWaits(LearnedPosition):
    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        return x + self.table.weight[int(start_pos) : int(start_pos) + x.shape[1]]


class LearnedInPlace(LearnedPosition):
    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        return x.add_(super().embed(torch.zeros_like(x), start_pos))


class LearnedUnwritten(LearnedPosition):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.table.weight = nn.Parameter(torch.empty(dims.block_size, dims.n_embd))


class LearnedWithoutGradient(LearnedPosition):
    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        return x + (super().embed(x, start_pos) - x).detach()


CAUGHT_BY: CaughtBy = {
    NormOverTime: "positions_are_independent",
    NormOverRows: "rows_are_independent",
    EpsOutsideTheRoot: "is_finite_at_rest",
    WithoutEps: "is_finite_at_rest",
    NormInBfloat16: "gradients_are_right",
    NormOfFloat32InBfloat16: "is_precise",
    DetachedStatistics: "gradients_are_right",
    RunningMean: "input_is_not_mutated eval_is_deterministic",
    NormInPlace: "input_is_not_mutated",
    RopeFromZero: "starts_anywhere",
    RopeOneTooFarLater: "starts_anywhere",
    RopeForNumbersOnly: "starts_anywhere",
    RopeThatWaits: "reads_positions_on_the_device",
    RopeInPlace: "position_mutates_nothing",
    RopeInFloat32: "keeps_shape_and_dtype",
    LearnedFromZero: "starts_anywhere",
    LearnedThatWaits: "reads_positions_on_the_device",
    LearnedInPlace: "position_mutates_nothing input_is_not_mutated",
    LearnedUnwritten: "reads_only_what_was_written",
    LearnedWithoutGradient: "every_parameter_gets_a_gradient gradients_are_right",
}
