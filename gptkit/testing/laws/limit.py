"""Limits both ways: what a part cannot do it refuses, and what it does not refuse it can do."""

import torch
from torch import nn

from gptkit.testing.case import Build, Case
from gptkit.testing.outcome import Refusal

WIDTHS = (1, 2, 3, 4, 8, 33, 64)


def limits_are_declared(build: Build[nn.Module], case: Case) -> None:
    """Assert that a part refuses at its construction, with its reason, or works."""
    for D in WIDTHS:
        for dropout in (0.0, 0.5):
            for T in (1, 2, 17):
                each = Case(B=1, H=case.H, T=T, D=D, seed=case.seed, dtype=case.dtype, device=case.device)
                try:
                    part = each.build(build, dropout)
                except Refusal as refusal:
                    assert_told(refusal, each)
                    assert_refused_early(build, each, dropout)
                    continue
                try:
                    part.train()(each.x())
                except NotImplementedError as error:
                    raise AssertionError(
                        f"it is built for this and then refuses a plain pass: {error} ({each})"
                    ) from error


def assert_told(refusal: Refusal, case: Case) -> None:
    """Assert that a refusal has a reason."""
    if not str(refusal.__cause__).strip():
        raise AssertionError(f"it refuses without a reason: raise ValueError with a sentence ({case})")


def assert_refused_early(build: Build[nn.Module], case: Case, dropout: float) -> None:
    """Assert that a recipe is refused when it is checked, before any memory for weights is taken."""
    try:
        with torch.device("meta"):
            build(case.dims(dropout), **dict(case.options))
    except Refusal:
        return
    raise AssertionError(f"it refuses only where it has weights: `gptkit recipe check` builds it without ({case})")
