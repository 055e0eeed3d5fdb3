"""Softmax attentions whose `attend` reads the wrong keys, or weighs them wrongly."""

import math

import torch
from torch import Tensor

from gptkit.components.attention.naive import NaiveAttention
from gptkit.nn import causal_mask
from tests.testing.mutant import CaughtBy

Mask = Tensor | None


def attended(q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask, hidden: float = -math.inf) -> Tensor:
    """Return the attention of all heads together."""
    scores = q @ k.mT / math.sqrt(q.shape[3])
    return scores.masked_fill(~(causal_mask(q, k) if attn_mask is None else attn_mask), hidden).softmax(dim=-1) @ v


class Unmasked(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, v, torch.ones(1, 1, dtype=torch.bool) if attn_mask is None else attn_mask)


class SeesOneAhead(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        T, S = q.shape[2], k.shape[2]
        ahead = torch.ones(T, S, dtype=torch.bool).tril(S - T + 1)
        return super().attend(q, k, v, ahead if attn_mask is None else attn_mask)


class SeesOneShort(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        T, S = q.shape[2], k.shape[2]
        short = torch.ones(T, S, dtype=torch.bool).tril(S - T - 1)
        short[:, 0] = True
        return super().attend(q, k, v, short if attn_mask is None else attn_mask)


class AlignedTopLeft(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        top_left = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
        return super().attend(q, k, v, top_left if attn_mask is None else attn_mask)


class SoftmaxOverQueries(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        scores = q @ k.mT / math.sqrt(q.shape[3])
        attn_mask = (causal_mask(q, k) if attn_mask is None else attn_mask).expand_as(scores)
        return scores.masked_fill(~attn_mask, -math.inf).softmax(dim=-2).nan_to_num() @ v


class ScaledByWidth(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q / math.sqrt(q.shape[3]), k, v, attn_mask)


class ScaledByChannels(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q / math.sqrt(self.n_head), k, v, attn_mask)


class Unscaled(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q * math.sqrt(q.shape[3]), k, v, attn_mask)


class SwapsValuesAndKeys(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, v, k, attn_mask)


class IgnoresTheMask(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, v)


class CausalBesidesTheMask(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, v, causal_mask(q, k) if attn_mask is None else attn_mask & causal_mask(q, k))


class ReadsFullMasksOnly(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(q, k, v, attn_mask if attn_mask is None or attn_mask.ndim == 4 else None)


class ReadsMaskOfFirstHead(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Mask = None) -> Tensor:
        return super().attend(
            q, k, v, attn_mask[:, :1] if attn_mask is not None and attn_mask.ndim == 4 else attn_mask
        )


CAUGHT_BY: CaughtBy = {
    Unmasked: "never_reads_the_future sees_up_to_itself equals_reference_in_float64",
    SeesOneAhead: "never_reads_the_future sees_up_to_itself attends_as_reference_in_float64",
    SeesOneShort: "sees_up_to_itself attend_honours_attn_mask equals_reference_in_float64",
    AlignedTopLeft: "sees_up_to_itself attend_honours_attn_mask equals_reference_in_float64",
    SoftmaxOverQueries: "never_reads_the_future constant_values_come_back constant_input_stays_constant",
    ScaledByWidth: "equals_reference_in_float64 attends_as_reference_in_float64",
    ScaledByChannels: "equals_reference_in_float64 attends_as_reference_in_float32",
    Unscaled: "equals_reference_in_float64 attends_as_reference_in_bfloat16",
    SwapsValuesAndKeys: "constant_values_come_back attends_as_reference_in_float64",
    IgnoresTheMask: "attend_honours_attn_mask honours_attn_mask cache_changes_nothing",
    CausalBesidesTheMask: "attend_honours_attn_mask attends_as_reference_in_float64",
    ReadsFullMasksOnly: "broadcasts_attn_mask attend_honours_attn_mask",
    ReadsMaskOfFirstHead: "attends_as_reference_in_float64",
}
