"""What one step computes before the optimizer: the forward and backward passes over its batch."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int, Integer
from torch import Tensor
from torch.nn import functional as F

from gptkit.data.batches import draw_batch, starts
from gptkit.model import GPT
from gptkit.recipe.train_settings import TrainSettings
from gptkit.seeds import seeded
from gptkit.training.nan_trace import find_nan_source
from gptkit.training.precision import autocast

RANK = 0  # One process trains; the number is part of what draws are derived from, so that more could.


@dataclass(frozen=True)
class MicroBatch:
    """One forward pass of a step.

    Args:
        step: Counted from 0.
        number: Which pass of the step it is, counted from 0.
        inputs: The contexts.
        targets: The token after each of theirs.
    """

    step: int
    number: int
    inputs: Int[Tensor, "B T"]
    targets: Int[Tensor, "B T"]
    settings: TrainSettings
    dtype: str

    def seeded_draws(self) -> AbstractContextManager[None]:
        """Let what is drawn inside be this pass's own."""
        return seeded(self.inputs.device, self.settings.seed, "dropout", self.step, self.number, RANK)

    def loss(self, forward: Any) -> Float[Tensor, ""]:
        """Return what this pass adds to the loss of its step, with a model or one compiled."""
        with autocast(self.inputs.device, self.dtype):
            return mean_loss(forward(self.inputs), self.targets) / self.settings.grad_accumulation

    def seeded_loss(self, forward: Any) -> Float[Tensor, ""]:
        """Return `loss`, with the draws of this pass."""
        with self.seeded_draws():
            return self.loss(forward)


@dataclass(frozen=True)
class MicroBatches:
    """The passes of every step: a function of the text, the settings and the step's number."""

    model: GPT
    tokens: Integer[Tensor, " N"]
    settings: TrainSettings
    dtype: str

    @property
    def rows(self) -> int:
        """Number of contexts in one step."""
        return self.settings.batch_size * self.settings.grad_accumulation

    def of(self, step: int) -> Iterator[MicroBatch]:
        """Yield the passes of a step, counted from 0."""
        device = next(self.model.parameters()).device
        block_size, size = self.model.dims.block_size, self.settings.batch_size
        sides = draw_batch(self.tokens, self.rows, block_size, seed=self.settings.seed, step=step)
        inputs, targets = (side.to(device).split(size) for side in sides)
        for number, (x, y) in enumerate(zip(inputs, targets, strict=True)):
            yield MicroBatch(step, number, x, y, self.settings, self.dtype)

    def explain(self, step: int, loss: float, norm: float) -> str:
        """Return why a step was not applied whose loss, or whose gradient's norm, is not finite."""
        micro_batches = list(self.of(step))
        number, origin = find_nan_source(self.model, [batch.seeded_loss for batch in micro_batches])
        at = starts(len(self.tokens), self.rows, self.model.dims.block_size, seed=self.settings.seed, step=step)
        firsts = at.split(self.settings.batch_size)[number].flatten().tolist()
        shown = ", ".join(map(str, firsts[:8])) + (" …" if len(firsts) > 8 else "")
        return (
            f"step {step + 1}: the loss is {loss:g} and the gradient's norm {norm:g}, so the step was not "
            f"applied. Batch: pass {number + 1} of {len(micro_batches)}, whose rows begin at the tokens {shown} "
            "of the training text. "
            f"Not finite first: {origin}"
        )


def mean_loss(logits: Float[Tensor, "B T V"], targets: Int[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy, in nats per token."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())
