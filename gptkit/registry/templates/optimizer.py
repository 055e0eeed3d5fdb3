"""An optimizer to start from: gradient descent with momentum and weight decay."""

from collections.abc import Callable

import torch
from pydantic import NonNegativeFloat, PositiveFloat

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Optimizer, ParameterGroups, Probability


class MineOptimizer(Optimizer):
    """Gradient descent with Nesterov momentum. Weight decay leaves out biases and gains.

    Change: what `build` returns, which may be any `torch.optim.Optimizer`. To join several into one, use
    `gptkit.optim.TogetherOptimizer`. Your own options are keyword-only, annotated parameters of the constructor.

    Promised: every parameter is in exactly one group, whose `lr` the schedule scales. `load_state_dict` restores
    what `state_dict` saved, so that a resumed run continues bit for bit.

    Args:
        momentum: Share of its last update that a weight's next one repeats.
        weight_decay: Share of a weight that one step at learning rate 1 removes.

    Source:
        Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 1.
    """

    def __init__(
        self,
        *,
        learning_rate: PositiveFloat = 0.1,
        momentum: Probability = 0.9,
        weight_decay: NonNegativeFloat = 0.01,
    ) -> None:
        self.learning_rate, self.momentum, self.weight_decay = learning_rate, momentum, weight_decay

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        """Build the optimizer."""
        return DecayingSGD(
            [
                {"params": groups.matrices + groups.embeddings, "decay": self.weight_decay},
                {"params": groups.vectors, "decay": 0.0},
            ],
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.momentum > 0,
        )


class DecayingSGD(torch.optim.SGD):
    """`torch.optim.SGD` with decoupled weight decay: it does not pass through gradient and momentum."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Decay the weights, then take a step."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.mul_(1 - group["lr"] * group["decay"])
        return super().step(closure)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MineOptimizer)
