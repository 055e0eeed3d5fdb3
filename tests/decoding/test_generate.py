import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from gptkit.decoding.generate import window_start
from gptkit.decoding.sampling import Sampling
from gptkit.model import GPT
from gptkit.nn import SoftmaxAttention
from gptkit.registry.loader import Plugins
from gptkit.registry.registry import Entry
from tests.small import small_model

PROMPT = torch.tensor([[3, 1, 4], [1, 5, 9]])

kernels = pytest.mark.parametrize(
    "kernel",
    [entry.part for entry in Plugins().registry.of("attention") if issubclass(entry.part, SoftmaxAttention)],
)
positions = pytest.mark.parametrize("entry", Plugins().registry.of("position"), ids=lambda entry: entry.name)


@pytest.fixture
def model() -> GPT:
    """Return a model whose likeliest token is clearly so, because kernels differ in the last bits."""
    return small_model(std=0.5).double().eval()


def greedy(model: GPT, *, use_cache: bool = True) -> Tensor:
    return model.generate(PROMPT, 40, temperature=0.0, use_cache=use_cache)


def test_new_tokens_stand_behind_the_prompt(model: GPT) -> None:
    tokens = model.generate(PROMPT, 7)
    assert tokens.shape == (2, 10)
    assert torch.equal(tokens[:, :3], PROMPT)
    assert int(tokens.max()) < model.dims.vocab_size


@positions
@kernels
def test_the_cache_does_not_change_the_text_within_or_past_the_context(
    kernel: type[SoftmaxAttention], entry: Entry
) -> None:
    model = small_model(kernel, entry.part, std=0.5).double()
    text = greedy(model)
    assert len(text.unique()) > 2
    assert torch.equal(text, greedy(model, use_cache=False))


@kernels
def test_the_cache_does_not_change_what_is_drawn(kernel: type[SoftmaxAttention]) -> None:
    model = small_model(kernel, std=0.5).double()
    drawn = [
        model.generate(PROMPT, 40, generator=torch.Generator().manual_seed(5), use_cache=use_cache)
        for use_cache in (True, False)
    ]
    assert torch.equal(*drawn)


@kernels
def test_every_kernel_writes_the_same_text_with_the_same_weights(
    kernel: type[SoftmaxAttention], model: GPT
) -> None:
    other = small_model(kernel).double()
    other.load_state_dict(model.state_dict())
    assert torch.equal(greedy(other), greedy(model))


def test_greedy_text_is_the_likeliest_token_after_each(model: GPT) -> None:
    text = model.generate(PROMPT, 5, temperature=0.0)
    assert torch.equal(text[:, 3:], model(text[:, :-1]).argmax(-1)[:, 2:])


def test_a_token_costs_one_pass_of_its_own_but_for_one_in_half_a_context(model: GPT) -> None:
    widths: list[int] = []
    model.register_forward_pre_hook(lambda _, arguments: widths.append(arguments[0].shape[1]))
    model.generate(PROMPT, 6 + 4 * 2, temperature=0.0)
    assert widths == [3, 1, 1, 1, 1, 1, 5, 1, 1, 1, 5, 1, 1, 1]


def test_a_prompt_longer_than_the_context_is_taken_from_its_end(model: GPT) -> None:
    long = torch.randint(11, (1, 30), generator=torch.Generator().manual_seed(0))
    start = window_start(30, model.dims.block_size)
    text = model.generate(long, 1, temperature=0.0)
    assert torch.equal(text[:, :30], long)
    assert torch.equal(text[:, 30], model(long[:, start:])[:, -1].argmax(-1))


def test_no_new_tokens_may_be_asked_for(model: GPT) -> None:
    assert torch.equal(model.generate(PROMPT, 0), PROMPT)


@given(length=st.integers(1, 5000), block_size=st.integers(1, 600))
def test_the_window_fits_the_context_and_never_moves_back(length: int, block_size: int) -> None:
    start = window_start(length, block_size)
    assert 1 <= length - start <= block_size
    assert 0 <= start <= window_start(length + 1, block_size)
    assert start == 0 or length - start >= block_size // 2
    assert start == window_start(length, block_size)


@given(block_size=st.integers(1, 300))
def test_the_window_moves_once_in_half_a_context(block_size: int) -> None:
    starts = [window_start(length, block_size) for length in range(1, 5 * block_size + 1)]
    moves = [new - old for old, new in pairwise(starts) if new != old]
    assert set(moves) == {block_size - block_size // 2}


def test_the_same_generator_draws_the_same_text(model: GPT) -> None:
    first, again, other = (
        model.generate(PROMPT, 20, generator=torch.Generator().manual_seed(n)) for n in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_a_generator_pytorchs_own_is_used(model: GPT) -> None:
    texts = []
    for _ in range(2):
        torch.manual_seed(3)
        texts.append(model.generate(PROMPT, 20))
    assert torch.equal(*texts)


def test_with_a_generator_the_callers_random_state_is_left_as_it_was(model: GPT) -> None:
    before = torch.get_rng_state()
    model.generate(PROMPT, 5, generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_in_the_mode_it_was_in(training: bool) -> None:
    model = small_model(dropout=0.5).train(training)
    greedy(model)
    assert {module.training for module in model.modules()} == {training}


def test_a_part_that_was_in_another_mode_stays_in_it() -> None:
    model = small_model(std=0.5, dropout=0.5).train()
    model.blocks[0].eval()
    first, again = greedy(model), greedy(model)
    assert torch.equal(first, again)
    assert [block.training for block in model.blocks] == [False, True]
    model.eval().blocks[0].train()
    assert torch.equal(greedy(model), first)
    assert [block.training for block in model.blocks] == [True, False]


def test_dropout_is_off_and_no_gradient_is_kept() -> None:
    model = small_model(std=0.5, dropout=0.5).train()
    text = greedy(model)
    assert torch.equal(text, greedy(model.eval()))
    assert not text.requires_grad


def test_fewer_than_no_new_tokens_are_refused(model: GPT) -> None:
    with pytest.raises(ValueError, match=r"^max_new_tokens must be 0 or more, found -1$"):
        model.generate(PROMPT, -1)


def test_a_prompt_without_tokens_is_refused(model: GPT) -> None:
    with pytest.raises(ValueError, match=r"^there is no token to go on from: give at least one$"):
        model.generate(torch.zeros(1, 0, dtype=torch.int64), 1)


LOGITS = torch.log(torch.tensor([[0.05, 0.5, 0.15, 0.3]]))


def sample(logits: Tensor, *, generator: torch.Generator | None = None, **options: Any) -> Tensor:
    """Return a token for each row of logits."""
    sampling = Sampling(**options)
    noise = sampling.noise(logits, 1, generator)
    return sampling.choose(logits, None if noise is None else noise[0])[0]


def frequencies(**options: Any) -> list[float]:
    """Return how often each token is drawn."""
    drawn = sample(LOGITS.expand(20_000, 4), generator=torch.Generator().manual_seed(0), **options)
    return (drawn.bincount(minlength=4) / 20_000).tolist()


def test_tokens_are_drawn_as_often_as_the_model_says() -> None:
    assert frequencies() == pytest.approx([0.05, 0.5, 0.15, 0.3], abs=0.015)


def test_a_temperature_divides_the_logits() -> None:
    roots = LOGITS.exp().sqrt()[0]
    assert frequencies(temperature=2.0) == pytest.approx((roots / roots.sum()).tolist(), abs=0.015)


def test_temperature_0_is_the_likeliest_token() -> None:
    assert frequencies(temperature=0.0) == [0, 1, 0, 0]


def test_top_k_draws_from_the_likeliest() -> None:
    assert frequencies(top_k=2) == pytest.approx([0, 0.625, 0, 0.375], abs=0.015)


def test_top_k_beyond_the_vocabulary_is_all_of_it() -> None:
    assert frequencies(top_k=9) == frequencies()


def test_top_k_of_1_is_greedy(model: GPT) -> None:
    assert torch.equal(model.generate(PROMPT, 40, top_k=1), greedy(model))


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(1.0, {0, 1, 2, 3}), (0.94, {1, 2, 3}), (0.79, {1, 3}), (0.51, {1, 3}), (0.49, {1}), (1e-9, {1})],
)
def test_top_p_draws_from_the_fewest_that_make_up_the_share(top_p: float, kept: set[int]) -> None:
    drawn = frequencies(top_p=top_p)
    assert {i for i, often in enumerate(drawn) if often} == kept


def test_top_p_counts_after_the_temperature_and_top_k() -> None:
    assert frequencies(top_k=2, top_p=0.6) == [0, 1, 0, 0]
    assert frequencies(temperature=0.1, top_p=0.9) == [0, 1, 0, 0]


def test_each_row_is_cut_by_its_own_logits() -> None:
    rows = torch.log(torch.tensor([[0.9, 0.1, 0.0], [0.1, 0.0, 0.9]]))
    assert sample(rows, top_k=1).tolist() == [0, 2]
    assert sample(rows, top_p=0.5).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "temperature must be 0 or more and finite, found -1.0"),
        ({"temperature": float("inf")}, "temperature must be 0 or more and finite, found inf"),
        ({"temperature": float("nan")}, "temperature must be 0 or more and finite, found nan"),
        ({"top_k": 0}, "top_k must be 1 or more, found 0"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, found 0.0"),
        ({"top_p": 1.5}, "top_p must be above 0 and at most 1, found 1.5"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda model, **options: model.generate(PROMPT, 1, **options),
        lambda model, **options: sample(LOGITS, **options),
    ],
)
def test_a_number_out_of_its_range_is_refused(
    options: dict[str, Any], message: str, call: Callable[..., Tensor], model: GPT
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call(model, **options)
