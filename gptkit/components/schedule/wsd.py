from typing import Annotated

from pydantic import Field, NonNegativeInt

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Probability
from gptkit.optim import WarmupSchedule


class WsdSchedule(WarmupSchedule):
    """Warm-up, stable, decay: linear warm-up to the full rate, constant, then linear decay to `floor`.

    Args:
        warmup: Steps of warm-up; fewer than the run has.
        decay: Share of the steps after the warm-up that the decay takes.
        floor: Factor at the last step.

    Raises:
        ValueError: If `warmup` is not below `total`.

    Source:
        Hu et al. 2024, arXiv:2404.06395, section 4; the linear decay is from Hägele et al. 2024, arXiv:2405.18392.
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
        """Return 1 until the decay begins, then fall linearly to `floor`."""
        return self.floor + (1 - self.floor) * min(1.0, (1 - progress) / self.decay)


@hookimpl
def gptkit_register(register: Register) -> None:
    register("wsd", WsdSchedule)
