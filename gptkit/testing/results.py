"""The results of a pass through a part: its output and its gradients, by name."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.testing.case import Case

Results = dict[str, Tensor]


def results(part: nn.Module, case: Case, *context: object) -> Results:
    """Return a part's output and the gradients of its input and parameters, in the part's own dtype.

    Args:
        context: What `forward` takes after its input.
    """
    parameters = dict(part.named_parameters())
    x = case.x().to(next(iter(parameters.values()), case.x())).requires_grad_()
    y = part(x, *context)
    gradient = case.draw("gradient", *y.shape).to(y)
    return {"output": y.detach(), **gradients(y, {"the input": x, **parameters}, gradient)}


def gradients(
    y: Float[Tensor, "*axes"], inputs: Mapping[str, Tensor], gradient: Float[Tensor, "*axes"]
) -> Results:
    """Return the gradient of each input, given the gradient of the output."""
    found = torch.autograd.grad(y, list(inputs.values()), gradient, materialize_grads=True)
    return {f"gradient of {name}": each for name, each in zip(inputs, found, strict=True)}
