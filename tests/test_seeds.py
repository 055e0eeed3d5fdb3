import torch
from hypothesis import given, strategies as st

from gptkit.seeds import derive, generator, seeded

CPU = torch.device("cpu")
purposes = st.lists(st.integers(0, 10) | st.sampled_from(["batch", "dropout", "sample"]), max_size=4)
seeds = st.integers(0, 2**63 - 1)


@given(seeds, purposes, seeds, purposes)
def test_a_seed_is_derived_from_all_it_is_given(
    a: int, one: list[int | str], b: int, other: list[int | str]
) -> None:
    assert (derive(a, *one) == derive(b, *other)) == ((a, one) == (b, other))


@given(seeds, purposes)
def test_a_derived_seed_is_one_that_torch_takes(seed: int, purpose: list[int | str]) -> None:
    assert 0 <= derive(seed, *purpose) < 2**63
    assert torch.Generator().manual_seed(derive(seed, *purpose))


def test_a_derived_seed_stays_the_same_from_release_to_release() -> None:
    assert derive(1337, "batch", 0) == 2410330024488292371


def test_generators_of_one_purpose_draw_the_same_and_of_two_do_not() -> None:
    first, again, other = (torch.rand(4, generator=generator(1, "batch", step)) for step in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_is_drawn_inside_depends_on_the_purpose_alone() -> None:
    draws = []
    for before in (0, 1):
        torch.manual_seed(before)
        with seeded(CPU, 1, "dropout"):
            draws.append(torch.rand(4))
    assert torch.equal(*draws)


def test_the_callers_random_state_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with seeded(CPU, 1, "dropout"):
        torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
