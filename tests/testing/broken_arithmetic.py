"""Softmax attentions with broken rounding or gradients, of the kinds that kernels have."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gptkit.components.attention.naive import NaiveAttention
from gptkit.nn import causal_mask
from tests.testing.broken_attends import Mask, attended
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import SpelledOutAttention


class ComputesInBfloat16(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q.bfloat16(), k.bfloat16(), v.bfloat16(), attn_mask).to(q.dtype)


class ComputesInFloat16(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q.half(), k.half(), v.half(), attn_mask).to(q.dtype)


class RoundsWeights(NaiveAttention):
    """Weights of 8 bits, like a kernel that keeps them in half precision between its two products."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        units = torch.eye(k.shape[2], dtype=q.dtype).expand(*k.shape[:3], -1)
        return attended(q, k, units, attn_mask).bfloat16().to(q.dtype) @ v


class NoGradientToQueries(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q.detach(), k, v, attn_mask)


class NoGradientToKeys(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k.detach(), v, attn_mask)


class NoGradientToValues(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, v.detach(), attn_mask)


class NoGradientToOut(SpelledOutAttention):
    def project(self, y: Tensor) -> Tensor:
        return F.linear(y, self.out.weight.detach(), self.out.bias)


class NoGradientToTheKeysGain(SpelledOutAttention):
    def normalised(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        if self.q_norm is None or self.k_norm is None:
            return q, k
        return self.q_norm(q), F.rms_norm(k, k.shape[3:], self.k_norm.weight.detach(), self.k_norm.eps)


class NormalisesKeysAsQueries(SpelledOutAttention):
    def normalised(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        return (q, k) if self.q_norm is None else (self.q_norm(q), self.q_norm(k))


class HalfAGradient(torch.autograd.Function):
    """The softmax, whose backward forgets that the weights sum to one."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        weights = scores.softmax(dim=-1)
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (weights,) = ctx.saved_tensors
        return weights * gradients[0]


class WrongBackward(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        scores = q @ k.mT / math.sqrt(q.shape[3])
        scores = scores.masked_fill(~(causal_mask(q, k) if attn_mask is None else attn_mask), -math.inf)
        return HalfAGradient.apply(scores) @ v  # type: ignore[no-untyped-call]


class GradientOfFirstKeys(torch.autograd.Function):
    """Keys as they are, whose backward leaves those beyond the 16th out."""

    @staticmethod
    def forward(ctx: Any, keys: Tensor) -> Tensor:
        return keys.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * (torch.arange(gradients[0].shape[2]) < 16)[:, None]


class BackwardOfOneTile(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, GradientOfFirstKeys.apply(k), v, attn_mask)  # type: ignore[no-untyped-call]


class UnwrittenGradient(torch.autograd.Function):
    """Values as they are, whose backward writes all of its memory but the first key's."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = torch.empty_like(gradients[0])
        gradient[:, :, 1:] = gradients[0][:, :, 1:]
        return gradient


class BackwardReadsUnwrittenMemory(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, UnwrittenGradient.apply(v), attn_mask)  # type: ignore[no-untyped-call]


CAUGHT_BY: CaughtBy = {
    ComputesInBfloat16: "equals_reference_in_float32 attends_as_reference_in_float32 gradients_are_right",
    ComputesInFloat16: "equals_reference_in_float32 attends_as_reference_in_float64 gradients_are_right",
    RoundsWeights: "equals_reference_in_float32 attends_as_reference_in_float64",
    NoGradientToQueries: "gradients_are_right equals_reference_in_float64 attends_as_reference_in_float64",
    NoGradientToKeys: "gradients_are_right equals_reference_in_float32 attends_as_reference_in_float32",
    NoGradientToValues: "gradients_are_right equals_reference_in_bfloat16 attends_as_reference_in_bfloat16",
    NoGradientToOut: "gradients_are_right every_parameter_gets_a_gradient equals_reference_in_float64",
    NoGradientToTheKeysGain: "equals_reference_in_float64 equals_reference_in_bfloat16",
    NormalisesKeysAsQueries: "equals_reference_in_float64 equals_reference_in_float32",
    WrongBackward: "gradients_are_right equals_reference_in_float64",
    BackwardOfOneTile: "attends_as_reference_in_float64 equals_reference_when_long_in_float64",
    BackwardReadsUnwrittenMemory: "reads_only_what_was_written",
}
