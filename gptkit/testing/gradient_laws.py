"""That gradients are those of what the part computes, found without a reference."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from gptkit.testing.case import Build, Case
from gptkit.testing.passes import results
from gptkit.testing.weights import draw_weights

# Steps of a central difference, in float64. Where one of them crosses a kink, as ReLU has, the others do not.
STEPS = (1e-5, 1e-6, 1e-7)


def gradients_are_right(build: Build[nn.Module], case: Case) -> None:
    """Assert that the gradients of the input and of every parameter are the slopes of the output."""
    case = replace(case, dtype=torch.float64)
    part = case.build(build)
    draw_weights(part, case)
    x = case.x()
    gradient = case.draw("gradient", *x.shape)
    found = results(part, case)
    # Roundings of the output, through a difference over the smallest step, come to less than this.
    allowed = 1e-7 * (found["output"] * gradient).abs().sum().item()

    def along(weight: Tensor | None, direction: Tensor) -> Callable[[float], float]:
        def output(step: float) -> float:
            with torch.no_grad():
                if weight is None:
                    return (part(x + step * direction) * gradient).sum().item()
                before = weight.clone()
                weight.add_(step * direction)
                y = part(x)
                weight.copy_(before)
                return (y * gradient).sum().item()

        return output

    for name, weight in {"the input": None, **dict(part.named_parameters())}.items():
        direction = case.draw(f"direction of {name}", *(x.shape if weight is None else weight.shape))
        slope = (found[f"gradient of {name}"] * direction).sum().item()
        measured = slopes(along(weight, direction))
        if not any(abs(slope - each) <= allowed + 1e-4 * abs(each) for each in measured):
            raise AssertionError(
                f"the gradient of {name} is wrong: along a random direction the output rises by "
                f"{measured[0]:.6g}, and the gradient says {slope:.6g} ({case})"
            )


def slopes(output: Callable[[float], float]) -> list[float]:
    """Return central differences of a function around 0."""
    return [(output(step) - output(-step)) / (2 * step) for step in STEPS]
