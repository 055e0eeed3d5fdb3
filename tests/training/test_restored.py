"""What a trial pass changes in a model is put back."""

import pytest
import torch

from gptkit.training.restored import restored
from tests.small import small_model, small_tokens


def test_weights_buffers_and_gradients_are_put_back_bit_for_bit() -> None:
    model = small_model()
    model.register_buffer("seen", torch.zeros(3), persistent=False)
    model(small_tokens()[None, :8].long()).sum().backward()
    model.head.bias.grad = None
    tensors = [*model.parameters(), *model.buffers()]
    gradients = [weight.grad for weight in model.parameters()]
    before = [tensor.clone() for tensor in [*tensors, *(each for each in gradients if each is not None)]]
    with restored(model), torch.no_grad():
        for tensor in (*tensors, *(each for each in gradients if each is not None)):
            tensor.add_(1)
        model.zero_grad(set_to_none=True)
        model.head.bias.grad = torch.ones_like(model.head.bias)
    after = [*model.parameters(), *model.buffers()]
    assert all(a is b for a, b in zip(after, tensors, strict=True))
    assert all(w.grad is was for w, was in zip(model.parameters(), gradients, strict=True))
    after += [each for each in gradients if each is not None]
    assert all(torch.equal(now, was) for now, was in zip(after, before, strict=True))


def test_a_buffer_that_was_replaced_is_put_back() -> None:
    model = small_model()
    model.register_buffer("seen", torch.zeros(3))
    with restored(model):
        model.seen = model.get_buffer("seen") + 1
    assert torch.equal(model.get_buffer("seen"), torch.zeros(3))


def test_they_are_put_back_after_an_error() -> None:
    model = small_model()
    before = model.head.bias.detach().clone()

    def fail() -> None:
        torch.nn.init.ones_(model.head.bias)
        raise ValueError("no")

    with pytest.raises(ValueError, match=r"^no$"), restored(model):
        fail()
    assert torch.equal(model.head.bias, before)
