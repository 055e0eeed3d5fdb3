"""Limits both ways: a part refuses what it cannot do, and can do what it does not refuse."""

import torch
from torch import nn

from gptkit.interfaces import Attention, Block, HasLimits
from gptkit.testing.case import Build, Case
from gptkit.testing.declared_limits import contexts_of
from gptkit.testing.outcome import Refusal

WIDTHS = (1, 2, 3, 4, 8, 33, 64)


def limits_are_declared(build: Build[nn.Module], case: Case) -> None:
    """Assert that the constructor refuses what is not supported, with a reason, and what it accepts works."""
    for D in WIDTHS:
        for dropout in (0.0, 0.5):
            for T in (1, 2, 17):
                each = Case(B=1, H=case.H, T=T, D=D, seed=case.seed, dtype=case.dtype, device=case.device)
                try:
                    part = each.build(build, dropout)
                except Refusal as refusal:
                    assert_gives_reason(refusal, each)
                    assert_refused_early(build, each, dropout)
                    continue
                try:
                    part.train()(each.x())
                except NotImplementedError as error:
                    raise AssertionError(
                        f"its constructor accepts this and its forward refuses it: {error} ({each})"
                    ) from error


def assert_gives_reason(refusal: Refusal, case: Case) -> None:
    """Assert that a refusal gives a reason."""
    if not str(refusal.__cause__).strip():
        raise AssertionError(f"it refuses without a reason: raise ValueError with a message ({case})")


def assert_refused_early(build: Build[nn.Module], case: Case, dropout: float) -> None:
    """Assert that a part refuses on the meta device too, on which `gptkit recipe check` builds it."""
    try:
        with torch.device("meta"):
            build(case.dims(dropout), **dict(case.options))
    except Refusal:
        return
    raise AssertionError(f"it does not refuse on the meta device, where `gptkit recipe check` builds it ({case})")


def keeps_its_limits(build: Build[Attention | Block], case: Case) -> None:
    """Assert that a pass raises NotImplementedError where, and only where, `refusal` gives a reason."""
    part, x = case.build(build), case.x()
    assert isinstance(part, HasLimits)
    for words, ctx in contexts_of(case).items():
        reason, what = part.refusal(ctx), words or "nothing but the causal rule"
        if reason is not None and not reason.strip():
            raise AssertionError(f"`refusal` refuses {what} without a reason ({case})")
        try:
            part(x, ctx)
        except NotImplementedError as error:
            if not reason:
                raise AssertionError(
                    f"its forward refuses {what}, which `refusal` allows: {error} ({case})"
                ) from error
        else:
            if reason:
                raise AssertionError(
                    f"its forward takes {what}, which `refusal` refuses: call `self.check_limits(ctx)` ({case})"
                )
