"""The micro-batches of each step, a function of the text, the settings and the number of the step."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from jaxtyping import Int, Integer
from torch import Tensor

from gptkit.data.batches import draw_batch, starts
from gptkit.model import GPT
from gptkit.recipe.train_settings import TrainSettings
from gptkit.seeds import seeded


@dataclass(frozen=True)
class MicroBatch:
    """What one forward pass of a step reads.

    Args:
        step: Counted from 0.
        number: Within the step, counted from 0.
        targets: The token after each position.
        dtype: Precision of the matrix products, as a recipe names it.
    """

    step: int
    number: int
    inputs: Int[Tensor, "B T"]
    targets: Int[Tensor, "B T"]
    settings: TrainSettings
    dtype: str

    def seeded(self) -> AbstractContextManager[None]:
        """Draw random numbers, such as dropout's, from the seed of this micro-batch while in this context."""
        # One process trains. Its number, 0, is part of the seed, so that several processes could.
        return seeded(self.inputs.device, self.settings.seed, "dropout", self.step, self.number, 0)


@dataclass(frozen=True)
class MicroBatches:
    """The micro-batches of every step.

    Args:
        tokens: The training text.
    """

    model: GPT
    tokens: Integer[Tensor, " N"]
    settings: TrainSettings
    dtype: str

    @property
    def rows(self) -> int:
        """Number of contexts in one step."""
        return self.settings.batch_size * self.settings.grad_accumulation

    def of(self, step: int) -> Iterator[MicroBatch]:
        """Yield the micro-batches of a step, counted from 0."""
        device = next(self.model.parameters()).device
        block_size, size = self.model.dims.block_size, self.settings.batch_size
        sides = draw_batch(self.tokens, self.rows, block_size, seed=self.settings.seed, step=step)
        inputs, targets = (side.to(device).split(size) for side in sides)
        for number, (x, y) in enumerate(zip(inputs, targets, strict=True)):
            yield MicroBatch(step, number, x, y, self.settings, self.dtype)

    def starts(self, step: int, number: int) -> list[int]:
        """Return where in the training text the rows of a micro-batch begin."""
        found = starts(len(self.tokens), self.rows, self.model.dims.block_size, seed=self.settings.seed, step=step)
        return found.split(self.settings.batch_size)[number].flatten().tolist()
