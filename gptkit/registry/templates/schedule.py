"""A schedule to start from: linear decay."""

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Probability, Schedule


class MineSchedule(Schedule):
    """Linear decay from 1 to `floor`.

    Change: what a call returns. Your own options are keyword-only, annotated parameters of the constructor. For a
    schedule with warm-up, inherit `gptkit.optim.WarmupSchedule`, which has the option `warmup`.

    Promised: the factor depends on the step alone, and is finite and never negative from step 0 to step `total`.

    Args:
        floor: Factor at the last step.
    """

    def __init__(self, total: int, *, floor: Probability = 0.0) -> None:
        super().__init__(total)
        self.total, self.floor = total, floor

    def __call__(self, step: int) -> float:
        """Return the factor of a step, counted from 0."""
        return self.floor + (1 - self.floor) * (1 - step / self.total)


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MineSchedule)
