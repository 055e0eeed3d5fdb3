"""Forward and backward of one micro-batch as a CUDA graph: one launch instead of one for each operation."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptkit.nn.cuda_capture import capture, warm_up_passes
from gptkit.training.micro_batches import MicroBatch
from gptkit.training.restored import restored

# Adds the gradients of a micro-batch to the model's, and returns its losses.
ForwardBackward = Callable[[MicroBatch], Float[Tensor, " L"]]


class CudaGraph:
    """Records a forward and backward pass at the first micro-batch, and replays it for every micro-batch.

    A GPU computes the step of a small model faster than Python launches its operations one by one. The graph adds
    to the gradient tensors that it was recorded with, so zeroing these costs less than freeing them.

    Source:
        Ng et al. 2021, "Accelerating PyTorch with CUDA Graphs".
    """

    def __init__(self, model: nn.Module, forward_backward: ForwardBackward) -> None:
        self.model, self.forward_backward = model, forward_backward
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: MicroBatch) -> Float[Tensor, " L"]:
        """Add the gradients of a micro-batch to the model's, and return its losses.

        The replay draws from the state that PyTorch's CUDA generator has when it is launched.
        """
        # A graph is recorded and launched on the current device, which may not be the model's.
        with torch.cuda.device_of(batch.inputs):
            if self.graph is None:
                self.graph = self.record(batch)
            for weight, gradient in self.gradients.items():
                if weight.grad is not gradient:
                    weight.grad = gradient.zero_() if weight.grad is None else gradient.copy_(weight.grad)
            self.static.inputs.copy_(batch.inputs)
            self.static.targets.copy_(batch.targets)
            self.graph.replay()
        return self.losses

    def record(self, batch: MicroBatch) -> torch.cuda.CUDAGraph:
        """Return the graph of a micro-batch's forward and backward; leaves zero gradients."""
        self.static = replace(batch, inputs=batch.inputs.clone(), targets=batch.targets.clone())
        run = partial(self.forward_backward, self.static)
        # Warming up draws random numbers; the replay must start from the caller's state.
        with torch.random.fork_rng(devices=[batch.inputs.device]):
            graph, self.losses = capture(run, partial(self.warm_up, self.static))
        return graph

    def warm_up(self, batch: MicroBatch) -> None:
        """Run what happens only in the first passes, such as compiling, because a graph cannot record it.

        Leaves weights and buffers as they were, and a gradient of zeros for each weight that gets one.
        """
        with restored(self.model):
            warm_up_passes(partial(self.forward_backward, batch))
            trained = [weight for weight in self.model.parameters() if weight.grad is not None]
        # Kept here, because the graph writes to their memory even if `weight.grad` is replaced.
        self.gradients = {weight: torch.zeros_like(weight) for weight in trained}
        for weight, gradient in self.gradients.items():
            weight.grad = gradient
