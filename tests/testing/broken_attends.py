"""Softmax attentions whose `attend` reads the wrong keys, or weighs them wrongly."""

import math

import torch
from torch import Tensor

from gptkit.attention import causal
from gptkit.components.attention.naive import NaiveAttention
from tests.testing.mutant import CaughtBy

Mask = Tensor | None


def attended(q: Tensor, k: Tensor, v: Tensor, visible: Mask, hidden: float = -math.inf) -> Tensor:
    """Return the attention of all heads together."""
    scores = q @ k.mT / math.sqrt(q.shape[3])
    return scores.masked_fill(~(causal(q, k) if visible is None else visible), hidden).softmax(dim=-1) @ v


class Unmasked(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, k, v, torch.ones(1, 1, dtype=torch.bool) if visible is None else visible)


class SeesOneAhead(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        T, S = q.shape[2], k.shape[2]
        ahead = torch.ones(T, S, dtype=torch.bool).tril(S - T + 1)
        return super().attend(q, k, v, ahead if visible is None else visible)


class SeesOneShort(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        T, S = q.shape[2], k.shape[2]
        short = torch.ones(T, S, dtype=torch.bool).tril(S - T - 1)
        short[:, 0] = True
        return super().attend(q, k, v, short if visible is None else visible)


class AlignedTopLeft(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        top_left = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
        return super().attend(q, k, v, top_left if visible is None else visible)


class SoftmaxOverQueries(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        scores = q @ k.mT / math.sqrt(q.shape[3])
        visible = (causal(q, k) if visible is None else visible).expand_as(scores)
        return scores.masked_fill(~visible, -math.inf).softmax(dim=-2).nan_to_num() @ v


class ScaledByWidth(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q / math.sqrt(q.shape[3]), k, v, visible)


class ScaledByChannels(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q / math.sqrt(self.n_head), k, v, visible)


class Unscaled(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q * math.sqrt(q.shape[3]), k, v, visible)


class SwapsValuesAndKeys(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, v, k, visible)


class DeafToVisible(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, k, v)


class CausalBesidesVisible(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, k, v, causal(q, k) if visible is None else visible & causal(q, k))


class ReadsFullMasksOnly(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, k, v, visible if visible is None or visible.ndim == 4 else None)


class ReadsMaskOfFirstHead(NaiveAttention):
    def attend(self, q: Tensor, k: Tensor, v: Tensor, visible: Mask = None) -> Tensor:
        return super().attend(q, k, v, visible[:, :1] if visible is not None and visible.ndim == 4 else visible)


CAUGHT_BY: CaughtBy = {
    Unmasked: "never_reads_the_future sees_up_to_itself equals_reference_in_float64",
    SeesOneAhead: "never_reads_the_future sees_up_to_itself attends_as_reference_in_float64",
    SeesOneShort: "sees_up_to_itself attend_honours_visible equals_reference_in_float64",
    AlignedTopLeft: "sees_up_to_itself attend_honours_visible equals_reference_in_float64",
    SoftmaxOverQueries: "never_reads_the_future constant_values_come_back constant_input_stays_constant",
    ScaledByWidth: "equals_reference_in_float64 attends_as_reference_in_float64",
    ScaledByChannels: "equals_reference_in_float64 attends_as_reference_in_float32",
    Unscaled: "equals_reference_in_float64 attends_as_reference_in_bfloat16",
    SwapsValuesAndKeys: "constant_values_come_back attends_as_reference_in_float64",
    DeafToVisible: "attend_honours_visible honours_visible cache_changes_nothing",
    CausalBesidesVisible: "attend_honours_visible attends_as_reference_in_float64",
    ReadsFullMasksOnly: "broadcasts_visible attend_honours_visible",
    ReadsMaskOfFirstHead: "attends_as_reference_in_float64",
}
