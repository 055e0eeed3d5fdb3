"""What schedules that begin with a warm-up share."""

from abc import abstractmethod

from pydantic import NonNegativeInt

from gptkit.interfaces import Schedule


class WarmupSchedule(Schedule):
    """Rises in a straight line to 1, then goes on as subclasses say.

    Args:
        warmup: Steps spent rising; fewer than the run has.

    Raises:
        ValueError: If `warmup` is not below `total`.
    """

    def __init__(self, total: int, *, warmup: NonNegativeInt = 0) -> None:
        super().__init__(total)
        if warmup >= total:
            raise ValueError(f"warmup = {warmup} must be below the number of steps, {total}")
        self.total, self.warmup = total, warmup

    @abstractmethod
    def after_warmup(self, progress: float) -> float:
        """Return the factor at a share of the steps after the warm-up, from 0 to 1."""

    def __call__(self, step: int) -> float:
        """Return the factor of a step, counted from 0."""
        if step < self.warmup:
            # As in nanoGPT: step 0 already learns, and the step after the last of the warm-up is at 1.
            return (step + 1) / (self.warmup + 1)
        return self.after_warmup((step - self.warmup) / (self.total - self.warmup))
