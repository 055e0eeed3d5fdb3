"""Attentions that are broken around their `attend`: weights, rows, outputs, dropout."""

import sys

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import AttentionContext, Dims
from tests.testing.broken_attends import Mask
from tests.testing.mutant import CaughtBy


class MixesRows(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, v + 1e-6 * v.mean(dim=0), attn_mask)


class MixesNothing(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return v[:, :, -q.shape[2] :]


class Constant(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return 0 * super().forward(x, ctx)


class Noisy(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, v, attn_mask) + 1e-12 * torch.randn_like(q)


class CountsPasses(NaiveAttention):
    def __init__(self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True) -> None:
        super().__init__(dims, qkv_bias=qkv_bias, out_bias=out_bias)
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        self.get_buffer("passes").add_(1)
        return super().forward(x, ctx)


class WritesOnInput(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x, ctx) + 0 * x.add_(1)


class UnusedWeight(NaiveAttention):
    def __init__(self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True) -> None:
        super().__init__(dims, qkv_bias=qkv_bias, out_bias=out_bias)
        self.unused = nn.Parameter(torch.ones(1))


class UnsavedWeight(NaiveAttention):
    def __init__(self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True) -> None:
        super().__init__(dims, qkv_bias=qkv_bias, out_bias=out_bias)
        self.register_buffer("gain", torch.rand(dims.n_embd), persistent=False)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x, ctx) * self.get_buffer("gain")


class WeightsOfNumpy(NaiveAttention):
    def __init__(self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True) -> None:
        super().__init__(dims, qkv_bias=qkv_bias, out_bias=out_bias)
        drawn = np.random.standard_normal(self.out.weight.shape)
        self.out.weight = nn.Parameter(torch.from_numpy(0.02 * drawn).float())


class UnwrittenWeights(NaiveAttention):
    def __init__(self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True) -> None:
        super().__init__(dims, qkv_bias=qkv_bias, out_bias=out_bias)
        self.out.weight = nn.Parameter(torch.empty_like(self.out.weight))


class QkvBiasTwice(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        if self.qkv.bias is not None:
            q = q + self.qkv.bias[: q.shape[1] * q.shape[3]].view(q.shape[1], 1, q.shape[3])
        return super().attend(q, k, v, attn_mask)


class ReturnsAPair(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return (super().forward(x, ctx), x)  # type: ignore[return-value]


class LosesAPosition(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x, ctx)[:, 1:]


class AlwaysFloat32(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x, ctx).float()


class Raises(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        raise RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED")


class Exits(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        sys.exit(1)


class DropsInEval(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, F.dropout(v, self.dropout), attn_mask)


class DropsNothing(NaiveAttention):
    def __init__(self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True) -> None:
        super().__init__(dims, qkv_bias=qkv_bias, out_bias=out_bias)
        self.attn_dropout.p = self.resid_dropout.p = 0.0


class DropsNoWeights(NaiveAttention):
    def __init__(self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True) -> None:
        super().__init__(dims, qkv_bias=qkv_bias, out_bias=out_bias)
        self.attn_dropout.p = 0.0


class DropsAtHalfTheRate(NaiveAttention):
    def __init__(self, dims: Dims, *, qkv_bias: bool = False, out_bias: bool = True) -> None:
        super().__init__(dims, qkv_bias=qkv_bias, out_bias=out_bias)
        self.attn_dropout.p = self.resid_dropout.p = dims.dropout / 2


class DropsWithoutScaling(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        y = super().attend(q, k, v, attn_mask)
        return y * (1 - self.dropout) if self.training else y


class DropsBySeedOfItsOwn(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return super().attend(q, k, v, attn_mask)

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        torch.manual_seed(0)
        return super().forward(x, ctx)


class DropsBySeedOfTheClock(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        if self.training:
            torch.seed()
        return super().forward(x, ctx)


class DropsTheSameInEachRow(NaiveAttention):
    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        y = super().forward(x, ctx)
        return y * F.dropout(torch.ones_like(y[:1]), self.dropout, self.training)


CAUGHT_BY: CaughtBy = {
    MixesRows: "rows_are_independent equals_reference_in_float64",
    MixesNothing: "reads_the_past sees_up_to_itself",
    Constant: "varies_with_the_input reads_the_past every_parameter_gets_a_gradient",
    Noisy: "eval_is_deterministic",
    CountsPasses: "input_is_not_mutated",
    WritesOnInput: "input_is_not_mutated",
    UnusedWeight: "every_parameter_gets_a_gradient equals_reference_in_float64",
    UnsavedWeight: "state_dict_round_trips",
    WeightsOfNumpy: "first_weights_are_drawn",
    UnwrittenWeights: "reads_only_what_was_written",
    QkvBiasTwice: "equals_reference_in_float64",
    ReturnsAPair: "keeps_shape_and_dtype",
    LosesAPosition: "keeps_shape_and_dtype",
    AlwaysFloat32: "keeps_shape_and_dtype equals_reference_in_float64",
    Raises: "keeps_shape_and_dtype is_finite limits_are_declared",
    Exits: "keeps_shape_and_dtype is_finite limits_are_declared",
    DropsInEval: "dropout_is_off_in_eval",
    DropsNothing: "dropout_has_its_rate dropout_follows_the_seed",
    DropsNoWeights: "dropout_has_its_rate",
    DropsAtHalfTheRate: "dropout_has_its_rate output_dropout_has_its_rate",
    DropsWithoutScaling: "dropout_keeps_the_mean",
    DropsBySeedOfItsOwn: "dropout_follows_the_seed",
    DropsBySeedOfTheClock: "dropout_follows_the_seed",
    DropsTheSameInEachRow: "dropout_keeps_the_mean",
}
