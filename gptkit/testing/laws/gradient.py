"""Laws of gradients: they equal finite differences of the output. No reference is needed."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.seeds import seeded
from gptkit.testing.case import Build, Case
from gptkit.testing.results import gradients
from gptkit.testing.weights import draw_weights

# Steps of central differences, in float64. If one crosses a kink, such as ReLU's, a smaller one does not.
STEPS = (1e-5, 1e-6, 1e-7)


def gradients_are_right(build: Build[nn.Module], case: Case) -> None:
    """Assert that the gradients of the input and of every parameter equal finite differences of the output."""
    case = replace(case, dtype=torch.float64)
    assert_slopes(case.build(build), case)


def gradients_are_right_in_training(build: Build[nn.Module], case: Case) -> None:
    """Assert that in training mode too the gradients equal finite differences, under the same dropout mask."""
    case = replace(case, dtype=torch.float64)
    assert_slopes(case.build(build, dropout=0.5).train(), case)


def assert_slopes(part: nn.Module, case: Case) -> None:
    """Assert that gradients equal finite differences, with dropout drawn from one seed."""
    draw_weights(part, case)
    x, gradient = case.x().requires_grad_(), case.draw("gradient", *case.x().shape)

    def output() -> Float[Tensor, ""]:
        with seeded(case.device, case.seed, "dropout"):
            return (part(x) * gradient).sum()

    inputs = {"the input": x, **dict(part.named_parameters())}
    found = gradients(output(), inputs, torch.ones((), dtype=x.dtype, device=x.device))
    # An upper bound on the rounding error of the output, divided by the smallest step.
    with torch.no_grad(), seeded(case.device, case.seed, "dropout"):
        allowed = 1e-7 * (part(x) * gradient).abs().sum().item()
    for name, leaf in inputs.items():
        direction = case.draw(f"direction of {name}", *leaf.shape)
        slope = (found[f"gradient of {name}"] * direction).sum().item()
        measured = slopes(output, leaf, direction)
        if not any(abs(slope - each) <= allowed + 1e-4 * abs(each) for each in measured):
            if is_coarse(output, x):
                raise AssertionError(
                    "it computes in a lower precision than its float64 input, so its gradients cannot be compared "
                    f"with differences ({case})"
                )
            raise AssertionError(
                f"the gradient of {name} is wrong: along a random direction the slope of the output is "
                f"{measured[0]:.6g}, and the gradient gives {slope:.6g} ({case})"
            )


@torch.no_grad()
def is_coarse(output: Callable[[], Tensor], x: Float[Tensor, "..."]) -> bool:
    """Return whether the output follows its float64 input, but not a change of it that float32 could not hold."""
    before, outputs = x.clone(), []
    for change in (0, 1e-11, 1e-2):
        x.copy_(before * (1 + change))
        outputs.append(output().item())
    x.copy_(before)
    return outputs[0] == outputs[1] != outputs[2]


@torch.no_grad()
def slopes(output: Callable[[], Tensor], leaf: Tensor, direction: Tensor) -> list[float]:
    """Return central differences of the output along a direction of one of its inputs, one for each step."""
    before = leaf.clone()

    def output_at(step: float) -> float:
        leaf.copy_(before + step * direction)
        y = output().item()
        leaf.copy_(before)
        return y

    return [(output_at(step) - output_at(-step)) / (2 * step) for step in STEPS]
