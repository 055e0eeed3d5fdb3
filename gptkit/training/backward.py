"""How a pass adds its gradients to its step's: operation by operation or, on CUDA, as one graph."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gptkit.model import GPT
from gptkit.training.micro_batches import MicroBatch

WARM_UP_PASSES = 3


class Backward(ABC):
    """Adds the gradients of one pass after another."""

    # Whether the tensors that hold the gradients must stay from step to step.
    keeps_gradients = False

    @abstractmethod
    def __call__(self, batch: MicroBatch) -> Float[Tensor, ""]:
        """Add a pass's gradients to those there are, and return its loss."""


class EagerBackward(Backward):
    """Launches one operation after another.

    Args:
        forward: The model, or the model compiled.
    """

    def __init__(self, forward: Any, scaler: torch.amp.GradScaler) -> None:
        self.forward, self.scaler = forward, scaler

    def __call__(self, batch: MicroBatch) -> Float[Tensor, ""]:
        """Add a pass's gradients to those there are, and return its loss."""
        loss = batch.seeded_loss(self.forward)
        self.scaler.scale(loss).backward()
        return loss.detach()


class CudaGraphBackward(Backward):
    """Records the operations of a pass once, and lets the device repeat them for every other.

    A step of a small model takes a GPU less time than it takes Python to ask for it, operation by operation.

    Args:
        forward: The model, or the model compiled.

    Source:
        Ng et al. 2021, "Accelerating PyTorch with CUDA Graphs".
    """

    keeps_gradients = True

    def __init__(self, model: GPT, forward: Any, scaler: torch.amp.GradScaler) -> None:
        self.model, self.forward, self.scaler = model, forward, scaler
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs = self.targets = self.loss = torch.empty(0)

    def __call__(self, batch: MicroBatch) -> Float[Tensor, ""]:
        """Add a pass's gradients to those there are, and return its loss."""
        # A graph is recorded and launched on the current device, which need not be the model's.
        with torch.cuda.device_of(batch.inputs):
            if self.graph is None:
                self.graph = self.record(batch)
            # The graph takes its draws from PyTorch's generator, from the seed it has as the graph is launched.
            with batch.seeded_draws():
                self.inputs.copy_(batch.inputs)
                self.targets.copy_(batch.targets)
                self.graph.replay()
        return self.loss

    def record(self, batch: MicroBatch) -> torch.cuda.CUDAGraph:
        """Return the graph of a pass, and leave the gradients at zero."""
        self.inputs, self.targets = batch.inputs.clone(), batch.targets.clone()
        own = MicroBatch(batch.step, batch.number, self.inputs, self.targets, batch.settings, batch.dtype)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            # What is set up at first use, compiling too, cannot be recorded.
            for _ in range(WARM_UP_PASSES):
                self.scaler.scale(own.seeded_loss(self.forward)).backward()
        torch.cuda.current_stream().wait_stream(aside)
        self.model.zero_grad(set_to_none=False)
        graph = torch.cuda.CUDAGraph()
        with own.seeded_draws(), torch.cuda.graph(graph):
            self.loss = own.loss(self.forward)
            self.scaler.scale(self.loss).backward()
            self.loss = self.loss.detach()
        self.model.zero_grad(set_to_none=False)
        return graph


def choose_backward(model: GPT, scaler: torch.amp.GradScaler, *, is_compiled: bool) -> Backward:
    """Return what learns from passes, compiled or not."""
    forward = torch.compile(model) if is_compiled else model
    if is_compiled and next(model.parameters()).device.type == "cuda":
        return CudaGraphBackward(model, forward, scaler)
    return EagerBackward(forward, scaler)
