"""Schedule: changes the learning rate over a run."""

from abc import ABC, abstractmethod


class Schedule(ABC):
    """Returns the factor on the learning rate at each optimizer step. It depends on the step alone.

    Args:
        total: Number of steps in the run.
    """

    def __init__(self, total: int) -> None:
        super().__init__()

    @abstractmethod
    def __call__(self, step: int) -> float:
        """Return the factor of a step, never negative. Steps are counted from 0 and at most `total`."""
