"""Laws of every attention, and of every block, which is as blind to the future as the attention in it."""

from dataclasses import replace

import torch

from gptkit.interfaces import Attention, AttentionContext, Block
from gptkit.testing.accuracy import assert_equal
from gptkit.testing.case import Build, Case
from gptkit.testing.stand_in_parts import PositionByScale
from gptkit.testing.weights import draw_weights


def never_reads_the_future(build: Build[Attention | Block], case: Case) -> None:
    """Assert that no position depends on a later one."""
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    other = case.scale * case.draw("another future", *x.shape)
    y = part(x)
    # Each of a few positions; of many, those at which a mistake would begin.
    for t in range(1, case.T) if case.T < 10 else (1, case.T // 2, case.T - 1):
        changed = part(torch.cat((x[:, :t], other[:, t:]), dim=1))
        assert_equal(
            changed[:, :t], y[:, :t], f"the output before position {t}, from which on the input changed", case
        )


def reads_the_past(build: Build[Attention | Block], case: Case) -> None:
    """Assert that a position depends on the one before it: what mixes nothing is no attention."""
    # With options as they are: a window of one position is a choice.
    case = replace(case, options=())
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    other = torch.cat((x[:, :1] + 1 + torch.arange(case.C, device=case.device), x[:, 1:]), dim=1)
    if part(x)[:, 1].equal(part(other)[:, 1]):
        raise AssertionError(f"position 1 does not depend on position 0 ({case})")


def constant_input_stays_constant(build: Build[Attention], case: Case) -> None:
    """Assert that where all positions hold the same, all get the same: weights sum to one at each position."""
    part, x = case.build(build), case.x()[:, :1].expand(-1, case.T, -1)
    draw_weights(part, case)
    y = part(x)
    assert_equal(y, y[:, :1].expand_as(y), "the output of a constant input", case)


def honours_attn_mask(build: Build[Attention | Block], case: Case) -> None:
    """Assert that of two texts packed into one sequence, neither sees the other where the place hides it."""
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    for start in range(1, case.T):
        second = torch.arange(case.T, device=case.device) >= start
        attn_mask = (second == second[:, None]).tril()  # (T, S)
        found = part(x, AttentionContext(attn_mask=attn_mask))
        alone = torch.cat((part(x[:, :start]), part(x[:, start:])), dim=1)
        assert_equal(found, alone, f"the output where position {start} begins another text", case)


def uses_its_context(build: Build[Attention | Block], case: Case) -> None:
    """Assert that queries and keys are turned by the position, from the place's first token on."""
    case = replace(case, options=())
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    turn = PositionByScale(case.dims())
    plain, rotated, later = part(x), part(x, AttentionContext(position=turn)), part(x, AttentionContext(2, turn))
    if rotated.equal(plain):
        raise AssertionError(f"the output is the same with a position that turns queries and keys ({case})")
    if later.equal(rotated):
        raise AssertionError(f"the output is the same wherever the first token stands ({case})")
