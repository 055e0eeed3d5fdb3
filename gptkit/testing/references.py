"""Which reference a part must equal: the one that it names, and `naive` for every softmax attention."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import HasReference
from gptkit.nn import SoftmaxAttention
from gptkit.testing.case import Case
from gptkit.testing.results import Results, gradients
from gptkit.testing.stand_in_parts import PositionPass


@dataclass(frozen=True)
class Twin:
    """A part's reference, computing with the part's own weights.

    Args:
        module: The reference; its own weights are not used.
        layout: Maps the part's weights to the reference's.
        own: The part's weights, by name.
    """

    module: nn.Module
    layout: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
    own: Mapping[str, Tensor]

    def results(self, case: Case, dtype: torch.dtype, *context: object) -> Results:
        """Return the reference's output, and the gradients of its input and of the part's parameters."""
        own = {
            name: cast(weight.detach(), dtype).requires_grad_(weight.requires_grad)
            for name, weight in self.own.items()
        }
        x = case.x().to(dtype).requires_grad_()
        y = functional_call(self.module.to(dtype), dict(self.layout(own)), (x, *context), strict=True)
        trained = {name: weight for name, weight in own.items() if weight.requires_grad}
        gradient = case.draw("gradient", *y.shape).to(y)
        return {"output": y.detach(), **gradients(y, {"the input": x, **trained}, gradient)}


def twin_of(part: nn.Module, case: Case) -> Twin:
    """Return the reference of a part.

    Raises:
        AssertionError: If the part's weights are not those of its reference.
    """
    if isinstance(part, SoftmaxAttention):
        module: nn.Module = NaiveAttention(
            case.dims(),
            qkv_bias=part.qkv.bias is not None,
            out_bias=part.out.bias is not None,
            qk_norm=part.q_norm is not None,
        )
        layout: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = dict
    else:
        assert isinstance(part, HasReference | PositionPass)
        module, layout = part.reference(), part.reference_weights
    trained = {name for name, _ in part.named_parameters()}
    own = {
        name: value.detach().clone().requires_grad_(name in trained) for name, value in part.state_dict().items()
    }
    found, expected = shapes(layout(own)), shapes(module.state_dict())
    if found != expected:
        raise AssertionError(f"its weights have shapes {found}, those of its reference {expected} ({case})")
    return Twin(module.to(case.device).eval(), layout, own)


def cast(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a copy of a weight, in a dtype if it is floating point."""
    return weight.to(dtype, copy=True) if weight.is_floating_point() else weight.clone()


def shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a state_dict."""
    return {name: tuple(weight.shape) for name, weight in state.items()}
