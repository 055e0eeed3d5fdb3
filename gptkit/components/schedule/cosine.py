import math

from pydantic import NonNegativeInt

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Probability
from gptkit.optim import WarmupSchedule


class CosineSchedule(WarmupSchedule):
    """Linear warm-up to the full rate, then decay along half a cosine to `floor`.

    Args:
        warmup: Steps of warm-up; fewer than the run has.
        floor: Factor at the last step.

    Raises:
        ValueError: If `warmup` is not below `total`.

    Source:
        Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5.
    """

    def __init__(self, total: int, *, warmup: NonNegativeInt = 0, floor: Probability = 0.0) -> None:
        super().__init__(total, warmup=warmup)
        self.floor = floor

    def after_warmup(self, progress: float) -> float:
        """Follow half a cosine from 1 to `floor`."""
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2


@hookimpl
def gptkit_register(register: Register) -> None:
    register("cosine", CosineSchedule)
