"""What changes the learning rate."""

from abc import ABC, abstractmethod


class Schedule(ABC):
    """Gives the factor on the learning rate at each optimizer step of a run of `total`. Pure."""

    def __init__(self, total: int) -> None:
        super().__init__()

    @abstractmethod
    def __call__(self, step: int) -> float:
        """Return the factor of a step, counted from 0 and at most `total`; never negative."""
