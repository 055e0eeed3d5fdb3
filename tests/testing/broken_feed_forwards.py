"""Broken feed-forwards, some of which name a reference."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.interfaces import Dims
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import ProvenFeedForward, SplitSwigluFeedForward


class MixesPositions(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.cumsum(dim=1) / torch.arange(1, x.shape[1] + 1)[:, None].to(x.dtype))


class MixesRows(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1e-6 * x.mean(dim=0)


class ComputesInFloat16(GeluFeedForward):
    def activate(self, x: Tensor) -> Tensor:
        return super().activate(x.half()).to(x.dtype)


class Overflows(GeluFeedForward):
    def activate(self, x: Tensor) -> Tensor:
        return x.exp()


class ActivatesInPlace(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mul_(2))


class ReadsRawStrides(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        _, T, C = x.shape
        return super().forward(x.as_strided(x.shape, (T * C, C, 1)))


class ReadsUnwrittenMemory(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.empty_like(x)
        y[:, 1:] = super().forward(x)[:, 1:]
        return y


class UsesNoInput(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.zeros_like(x))


class UnusedLayer(GeluFeedForward):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.gate = nn.Linear(dims.n_embd, dims.n_embd)


class DetachedHidden(GeluFeedForward):
    def activate(self, x: Tensor) -> Tensor:
        return super().activate(x.detach())


class StraightThrough(GeluFeedForward):
    """The gradient of a ReLU for the output of a GELU."""

    def activate(self, x: Tensor) -> Tensor:
        relu = F.relu(x)
        return relu + (super().activate(x) - relu).detach()


class UnsavedGain(GeluFeedForward):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.register_buffer("gain", torch.rand(dims.n_embd), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.get_buffer("gain")


class AnotherWhenTraining(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1.1 if self.training else 1.0)


class DropsInEval(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(super().forward(x), self.resid_dropout.p)


class DropsNothing(GeluFeedForward):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.resid_dropout.p = 0.0


class DropsAtTheWrongRate(GeluFeedForward):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.resid_dropout.p = 1 - dims.dropout if dims.dropout else 0.0


class DropsWithoutScaling(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 - self.resid_dropout.p if self.training else 1)


class RefusesInSilence(GeluFeedForward):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        if dims.head_width % 2:
            raise ValueError


class RefusesLate(GeluFeedForward):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] % 2:
            raise ValueError(f"takes an even number of channels, found {x.shape[-1]}")
        return super().forward(x)


class RefusesOnlyWithWeights(GeluFeedForward):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        if dims.head_width % 2 and not self.narrow.weight.is_meta:
            raise ValueError(f"takes an even width of heads, found {dims.head_width}")


class DiffersFromItsReference(ProvenFeedForward):
    """The tanh form, which is near the exact one."""

    def activate(self, x: Tensor) -> Tensor:
        return F.gelu(x, approximate="tanh")


class DiffersInBfloat16(ProvenFeedForward):
    def activate(self, x: Tensor) -> Tensor:
        return super().activate(x) * (1.3 if x.dtype == torch.bfloat16 else 1.0)


class NamesAReferenceThatMixesRows(ProvenFeedForward):
    def reference(self) -> nn.Module:
        return MixesRows(self.dims)


class NamesAReferenceWithoutAGradient(ProvenFeedForward):
    def reference(self) -> nn.Module:
        return DetachedHidden(self.dims)


class NamesAReferenceOfOtherWeights(ProvenFeedForward):
    def reference(self) -> nn.Module:
        return UnusedLayer(self.dims)


class PacksInTheWrongOrder(SplitSwigluFeedForward):
    def reference_weights(self, own: "dict[str, Tensor]") -> "dict[str, Tensor]":  # type: ignore[override]
        packed = torch.cat((own["value.weight"], own["gate.weight"]))
        return {"gate_and_value.weight": packed, "narrow.weight": own["narrow.weight"]}


CAUGHT_BY: CaughtBy = {
    MixesPositions: "positions_are_independent",
    MixesRows: "rows_are_independent",
    ComputesInFloat16: "gradients_are_right",
    Overflows: "is_finite",
    ActivatesInPlace: "input_is_not_mutated",
    ReadsRawStrides: "reads_any_layout",
    ReadsUnwrittenMemory: "reads_only_what_was_written",
    UsesNoInput: "varies_with_the_input",
    UnusedLayer: "every_parameter_gets_a_gradient",
    DetachedHidden: "gradients_are_right every_parameter_gets_a_gradient",
    StraightThrough: "gradients_are_right",
    UnsavedGain: "state_dict_round_trips",
    AnotherWhenTraining: "dropout_is_off_in_eval",
    DropsInEval: "dropout_is_off_in_eval",
    DropsNothing: "dropout_follows_the_seed",
    DropsAtTheWrongRate: "output_dropout_has_its_rate",
    DropsWithoutScaling: "dropout_keeps_the_mean",
    RefusesInSilence: "limits_are_declared",
    RefusesLate: "limits_are_declared keeps_shape_and_dtype",
    RefusesOnlyWithWeights: "limits_are_declared",
    DiffersFromItsReference: "equals_reference_in_float64 equals_reference_in_float32",
    DiffersInBfloat16: "equals_reference_in_bfloat16",
    NamesAReferenceThatMixesRows: "reference_keeps_the_laws equals_reference_in_float64",
    NamesAReferenceWithoutAGradient: "reference_keeps_the_laws equals_reference_in_float64",
    NamesAReferenceOfOtherWeights: "equals_reference_in_float64",
    PacksInTheWrongOrder: "equals_reference_in_float64",
}
