"""Warm-up, stable, decay."""

from typing import Annotated

from pydantic import Field, NonNegativeInt

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Probability
from gptkit.optim import WarmupSchedule


class WsdSchedule(WarmupSchedule):
    """Rises in a straight line to 1, stays there, then falls in a straight line to `floor`.

    Args:
        warmup: Steps spent rising; fewer than the run has.
        decay: Share of the steps after the warm-up that are spent falling.
        floor: Factor at the end.

    Raises:
        ValueError: If `warmup` is not below `total`.

    Source:
        Hu et al. 2024, arXiv:2404.06395, section 4; the straight fall is Hägele et al. 2024, arXiv:2405.18392.
    """

    def __init__(
        self,
        total: int,
        *,
        warmup: NonNegativeInt = 0,
        decay: Annotated[float, Field(gt=0, le=1)] = 0.2,
        floor: Probability = 0.0,
    ) -> None:
        super().__init__(total, warmup=warmup)
        self.decay, self.floor = decay, floor

    def after_warmup(self, progress: float) -> float:
        """Return 1 until the decay begins, then the height of the straight line."""
        return self.floor + (1 - self.floor) * min(1.0, (1 - progress) / self.decay)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `wsd`."""
    register("wsd", WsdSchedule)
