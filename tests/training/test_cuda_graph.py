"""A CUDA graph computes what eager training computes, and its warm-up leaves no trace."""

from functools import partial

import pytest
import torch

from gptkit.model import GPT
from gptkit.training.cuda_graph import WARM_UP_PASSES, CudaGraph
from gptkit.training.micro_batches import MicroBatches
from gptkit.training.train import forward_backward, new_scaler
from tests.program import run_program
from tests.small import same_weights, small_model, small_settings, small_tokens

CPU = torch.device("cpu")


class CountingNorm(torch.nn.LayerNorm):
    """Has running statistics: the number of its passes in train mode, and a mean of its inputs."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.passes, self.mean = torch.nn.Buffer(torch.zeros(())), torch.nn.Buffer(torch.zeros(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.passes.add_(1)
            self.mean.lerp_(x.detach().float().mean((0, 1)), 0.1)
        return super().forward(x)


def counting_model() -> GPT:
    model = small_model()
    model.norm = CountingNorm(model.dims.n_embd)  # type: ignore[assignment]
    return model


def test_the_warm_up_leaves_weights_buffers_and_zero_gradients() -> None:
    model, untouched = counting_model().train(), counting_model()
    # A weight that no micro-batch reaches has no gradient afterwards either: the optimizer skips it, as in eager.
    model.register_parameter("unused", torch.nn.Parameter(torch.ones(2)))
    untouched.register_parameter("unused", torch.nn.Parameter(torch.ones(2)))
    calls = []
    model.norm.register_forward_hook(lambda *_: calls.append(1))
    batch = next(MicroBatches(model, small_tokens(), small_settings(), "fp32").of(0))
    CudaGraph(model, partial(forward_backward, model, new_scaler(CPU, "fp32"))).warm_up(batch)
    assert len(calls) == WARM_UP_PASSES
    assert same_weights(model, untouched)
    buffers = dict(untouched.named_buffers())
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in model.named_buffers())
    assert model.get_parameter("unused").grad is None
    trained = [weight for name, weight in model.named_parameters() if name != "unused"]
    assert all(weight.grad is not None and not weight.grad.any() for weight in trained)


# In a process of its own, because the checker of shapes that tests run under does not go through torch.compile.
COMPARE = """
import torch
from tests.training.test_cuda_graph import counting_model
from gptkit.components.optimizer.adamw import AdamWOptimizer
from gptkit.components.schedule.constant import ConstantSchedule
from gptkit.training.train import train
from tests.small import small_settings, small_tokens

def trained(compile):
    model = counting_model().cuda()
    optimizer = AdamWOptimizer(learning_rate=1e-2).build(model.parameter_groups())
    settings = small_settings(max_iters=5, compile=compile, grad_accumulation=2)
    for step in train(model, small_tokens(), optimizer, ConstantSchedule(5), settings):
        step.confirm()
    return model.norm

eager, compiled = trained(False), trained(True)
assert eager.passes == compiled.passes == 10, (eager.passes, compiled.passes)
torch.testing.assert_close(eager.mean, compiled.mean, rtol=1e-3, atol=1e-4)
"""


@pytest.mark.cuda
def test_a_part_with_running_statistics_trains_compiled_as_it_does_eagerly() -> None:
    run_program(COMPARE)
