"""What happens in a run, besides its steps, in the words of whoever watches it."""

from dataclasses import dataclass

from gptkit.run.time_budget import Costs


@dataclass(frozen=True)
class Planned:
    """How many steps fit a budget of time, and what was reckoned for that; times are in seconds.

    Args:
        spent: What is gone of the budget by now.
        measured: From how many steps, thrown away, that of a step was measured.
        looks: Everything that is reckoned in besides the steps.
        free: After how many steps the schedule does not let their number follow the machine's speed any more.
    """

    max_iters: int
    budget: float
    spent: float
    costs: Costs
    measured: int
    looks: float
    free: int


@dataclass(frozen=True)
class Resized:
    """The run is to take another number of steps than before, because the machine is faster or slower."""

    max_iters: int


@dataclass(frozen=True)
class Chosen:
    """What was chosen for a setting of `[train]` that the recipe leaves to measurement, and why."""

    setting: str
    value: str
    reason: str


@dataclass(frozen=True)
class Estimate:
    """How long all steps will take together, in seconds, evaluations not counted."""

    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """The losses after a step, in nats per token, and the validation loss in bits per character."""

    step: int
    train_loss: float
    validation_loss: float
    bits_per_character: float
    is_best: bool


@dataclass(frozen=True)
class Sample:
    """A text that the model wrote after a step."""

    step: int
    text: str


@dataclass(frozen=True)
class Stopped:
    """The end of a run that was asked to stop: after which step, all of which is saved."""

    step: int


@dataclass(frozen=True)
class TimeUp:
    """The end of a run whose time was up before its steps were: after which of how many; all is saved."""

    step: int
    max_iters: int


@dataclass(frozen=True)
class Finished:
    """The end of a run: its best evaluation, and how long all of it took in seconds."""

    best: Evaluation
    seconds: float
