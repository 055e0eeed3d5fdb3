"""A CUDA graph computes what eager training computes, and its warm-up leaves no trace."""

from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch._functorch import config

from gptkit.errors import UsageError
from gptkit.model import GPT
from gptkit.nn.cuda_capture import WARM_UP_PASSES, capture_stream
from gptkit.training.cuda_graph import CudaGraph
from gptkit.training.micro_batches import MicroBatch, MicroBatches
from gptkit.training.train import compiled_pass, forward_backward, new_scaler
from tests.cuda_stand_in import replace_cuda
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


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Put a stand-in in the place of CUDA's graphs; return its calls."""
    capture_stream.cache_clear()
    yield replace_cuda(monkeypatch)
    capture_stream.cache_clear()


def test_the_warm_up_leaves_weights_buffers_and_zero_gradients(cuda: list[str]) -> None:
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


def test_a_replay_reads_the_batch_and_adds_to_the_gradients_that_it_was_recorded_with(cuda: list[str]) -> None:
    model, (first, second) = small_model().train(), two_batches()
    graph = CudaGraph(model, partial(forward_backward, model, new_scaler(CPU, "fp32")))
    graph(first)
    recorded = {weight: weight.grad for weight in model.parameters()}
    weight, other = list(recorded)[:2]
    # As an optimizer may do it that knows of no graph.
    model.zero_grad(set_to_none=True)
    other.grad = torch.ones_like(other)
    graph(second)
    assert torch.equal(graph.static.inputs, second.inputs)
    assert torch.equal(graph.static.targets, second.targets)
    assert all(weight.grad is gradient for weight, gradient in recorded.items())
    # The stand-in's replay adds nothing.
    assert weight.grad is not None
    assert not weight.grad.any()
    assert other.grad is recorded[other]
    assert other.grad.eq(1).all()
    assert cuda.count("replay") == 2
    assert cuda.count("capture on side of 1") == 1


def two_batches() -> list[MicroBatch]:
    settings = small_settings(grad_accumulation=2)
    return list(MicroBatches(small_model(), small_tokens(), settings, "fp32").of(0))


def test_dropout_on_the_cpu_is_refused_and_leaves_the_model_as_it_was(cuda: list[str]) -> None:
    model, untouched = small_model(dropout=0.5).train(), small_model(dropout=0.5)
    before = torch.get_rng_state()
    graph = CudaGraph(model, partial(forward_backward, model, new_scaler(CPU, "fp32")))
    with pytest.raises(UsageError, match=r"^a part draws random numbers on the CPU"):
        graph(two_batches()[0])
    assert same_weights(model, untouched)
    assert all(weight.grad is None for weight in model.parameters())
    assert torch.equal(torch.get_rng_state(), before)
    assert "capture on side of 1" not in cuda


def test_what_is_computed_twice_draws_from_the_seed_of_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    model, found = small_model().train(), []
    monkeypatch.setattr(torch, "compile", lambda model: model)
    model.register_forward_hook(lambda *_: found.append(config.graphsafe_rng_functionalization))
    for checkpoint in (False, True):
        settings = small_settings(checkpoint_activations=checkpoint)
        compiled_pass(model, new_scaler(CPU, "fp32"), settings)(two_batches()[0])
    assert found == [True, False]
    assert config.graphsafe_rng_functionalization


@pytest.mark.parametrize("checkpoint", [False, True])
def test_on_cuda_a_compiled_pass_is_a_graph_unless_activations_are_computed_twice(
    checkpoint: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model()
    monkeypatch.setattr(torch, "compile", lambda model: model)
    monkeypatch.setattr(model, "parameters", lambda: iter([SimpleNamespace(device=torch.device("cuda"))]))
    settings = small_settings(checkpoint_activations=checkpoint)
    found = compiled_pass(model, new_scaler(CPU, "fp32"), settings)
    assert isinstance(found, CudaGraph) is not checkpoint


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


RESUME = """
import torch
from gptkit.components.attention.sdpa import SdpaAttention
from gptkit.components.optimizer.adamw import AdamWOptimizer
from gptkit.components.schedule.constant import ConstantSchedule
from gptkit.training.micro_batches import MicroBatches
from gptkit.training.train import compiled_pass, new_scaler, train
from gptkit.tuning.determinism import deterministic
from tests.small import small_model, small_settings, small_tokens

def begun():
    model = small_model(SdpaAttention, dropout=0.5).cuda()
    optimizer = AdamWOptimizer(learning_rate=1e-2).build(model.parameter_groups())
    return model, optimizer, new_scaler(torch.device("cuda"), DTYPE)

def losses(model, optimizer, scaler, first, last):
    given = {"dtype": DTYPE, "first": first, "scaler": scaler}
    steps = train(model, small_tokens(), optimizer, ConstantSchedule(4), settings, **given)
    return [float(next(steps).loss) for _ in range(first, last)]

settings = small_settings(compile=True, grad_accumulation=2, checkpoint_activations=CHECKPOINT)
with deterministic(True):
    whole, halves = begun(), begun()
    expected = losses(*whole, 0, 4)
    # The second half is compiled and recorded anew.
    found = losses(*halves, 0, 2)
    torch.compiler.reset()
    found += losses(*halves, 2, 4)
    assert found == expected, (found, expected)
    assert all(map(torch.equal, whole[0].parameters(), halves[0].parameters()))

    model = begun()[0].train()
    batch = next(MicroBatches(model, small_tokens(), settings, DTYPE).of(0))
    run, drawn = compiled_pass(model, new_scaler(torch.device("cuda"), DTYPE), settings), []
    for seed in (0, 1, 1, 0):
        with torch.random.fork_rng(devices=[0]):
            torch.cuda.manual_seed(seed)
            drawn.append(float(run(batch)))
    assert drawn[0] == drawn[3] != drawn[1] == drawn[2], drawn
"""


@pytest.mark.cuda
@pytest.mark.parametrize(("checkpoint", "dtype"), [(False, "fp32"), (False, "fp16"), (True, "bf16")])
def test_compiled_dropout_is_new_at_each_step_and_goes_on_to_the_same_bits(checkpoint: bool, dtype: str) -> None:
    run_program(f"CHECKPOINT, DTYPE = {checkpoint}, {dtype!r}\n{RESUME}")


TWO_CARDS = """
import torch
from functools import partial
from gptkit.training.cuda_graph import CudaGraph
from gptkit.training.micro_batches import MicroBatches
from gptkit.training.train import forward_backward, new_scaler
from tests.small import small_model, small_settings, small_tokens

found = []
for device in ("cuda:0", "cuda:1"):
    model = small_model().to(device).train()
    graph = CudaGraph(model, partial(forward_backward, model, new_scaler(torch.device(device), "fp32")))
    micro_batches = MicroBatches(model, small_tokens(), small_settings(), "fp32")
    found.append([float(graph(next(micro_batches.of(step)))) for step in range(3)])
torch.testing.assert_close(*found)
"""


@pytest.mark.cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_a_second_card_records_a_graph_of_its_own() -> None:
    run_program(TWO_CARDS)
