"""What a run reports besides its steps. Times are in seconds, losses in nats per token."""

from dataclasses import dataclass
from pathlib import Path

from gptkit.run.time_budget import Costs
from gptkit.training.train import Step


@dataclass(frozen=True)
class Started:
    """The run directory exists and is locked; the first event of every run."""

    directory: Path


@dataclass(frozen=True)
class Planned:
    """How many steps fit the time budget, and what that was computed from.

    Args:
        spent: Part of the budget used up so far.
        measured: Number of discarded steps that the cost of a step was measured on.
        overhead: Time of everything but the steps.
        adjustable_until: Last step at which max_iters may change without retiming the schedule.
    """

    max_iters: int
    budget: float
    spent: float
    costs: Costs
    measured: int
    overhead: float
    adjustable_until: int


@dataclass(frozen=True)
class Resized:
    """The total number of steps has changed, because the machine is faster or slower than measured."""

    max_iters: int


@dataclass(frozen=True)
class Chosen:
    """The value chosen for a setting of `[train]` that the recipe leaves to measurement, and why."""

    setting: str
    value: str
    reason: str


@dataclass(frozen=True)
class Estimate:
    """How long all steps take, without evaluations."""

    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """Losses after a step."""

    step: int
    train_loss: float
    validation_loss: float
    bits_per_character: float
    is_best: bool


@dataclass(frozen=True)
class Sample:
    """Text that the model generated after a step."""

    step: int
    text: str


@dataclass(frozen=True)
class Stopped:
    """The run was asked to stop and has saved this step."""

    step: int


@dataclass(frozen=True)
class TimeUp:
    """The time is up before the last step; this step is saved."""

    step: int
    max_iters: int


@dataclass(frozen=True)
class Finished:
    """All steps are taken.

    Args:
        seconds: From the start of the run, measurements included.
    """

    best: Evaluation
    seconds: float


Event = Started | Step | Chosen | Planned | Resized | Estimate | Evaluation | Sample | Stopped | TimeUp | Finished
