"""Decoding and training on the meta device, where whatever a GPU would make the host wait for is an error."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch

from gptkit.decoding.decoder import CachedDecoder
from gptkit.decoding.sampling import Sampling
from gptkit.interfaces import Position
from gptkit.model import GPT
from gptkit.nn import SoftmaxAttention
from gptkit.optim import Muon
from gptkit.testing.subject import registered
from gptkit.training.finite_guard import FiniteGuard
from gptkit.training.micro_batches import MicroBatch
from gptkit.training.train import clip_gradients, forward_backward, new_scaler
from tests.small import small_model, small_settings

META = torch.device("meta")


@pytest.fixture(autouse=True)
def nothing_has_numbers() -> Iterator[None]:
    """Make every new tensor one without numbers."""
    with META:
        yield


def model_without_numbers(attention: str = "sdpa", position: str = "learned") -> GPT:
    return small_model(registered(SoftmaxAttention)[attention], registered(Position)[position])


def test_reading_a_number_is_an_error() -> None:
    for read in (float, int, bool):
        with pytest.raises(RuntimeError, match="meta tensors"):
            read(torch.ones(()))


@pytest.mark.parametrize("position", sorted(registered(Position)))
@pytest.mark.parametrize("attention", sorted(registered(SoftmaxAttention)))
@torch.no_grad()
def test_decoding_and_sampling_wait_for_nothing(attention: str, position: str) -> None:
    decoder = CachedDecoder(model_without_numbers(attention, position).eval())
    decoder.start(torch.zeros(2, 3, dtype=torch.long))
    sampling, token = Sampling(top_k=3, top_p=0.9), torch.zeros(2, dtype=torch.long)
    noise = sampling.noise(decoder.step(token), 2, None)
    tokens = decoder.decode_chunk(token, 2, sampling, noise)
    assert (tokens.device, tokens.shape) == (META, (2, 2))


@pytest.mark.parametrize("attention", sorted(registered(SoftmaxAttention)))
def test_a_training_step_waits_for_nothing(attention: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # PyTorch has no autocast and no fused AdamW for this device.
    monkeypatch.setattr("gptkit.training.train.autocast", lambda device, dtype: nullcontext())
    model = model_without_numbers(attention)
    optimizer = Muon([weight for weight in model.parameters() if weight.ndim == 2], lr=1e-3)
    guard = FiniteGuard(optimizer, META, is_deferred=True)
    tokens = torch.zeros(2, 8, dtype=torch.long)
    batch = MicroBatch(0, 0, tokens, tokens, small_settings(), "fp32")
    losses = forward_backward(model, new_scaler(torch.device("cpu"), "fp32"), batch)
    assert guard.check(0, losses.sum(), clip_gradients(model, 1.0)) is False
    optimizer.step()
    assert (losses.device, guard.found.device) == (META, META)
