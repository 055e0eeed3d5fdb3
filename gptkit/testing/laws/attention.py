"""Laws of every attention, and of every block, which is as causal as the attention in it."""

from dataclasses import replace

import torch

from gptkit.interfaces import Attention, AttentionContext, Block
from gptkit.testing.accuracy import assert_equal
from gptkit.testing.case import Build, Case
from gptkit.testing.stand_in_parts import PositionByScale
from gptkit.testing.weights import draw_weights


def never_reads_the_future(build: Build[Attention | Block], case: Case) -> None:
    """Assert that the output at a position does not depend on later positions."""
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    other = case.scale * case.draw("another future", *x.shape)
    y = part(x)
    # In a short input, every position; in a long one, those at which mistakes begin, such as the seams of tiles.
    seams = sorted({1, case.T // 2, case.T - 1, *(range(16, case.T, 16) if case.T > 64 else ())})
    for t in range(1, case.T) if case.T < 10 else seams:
        changed = part(torch.cat((x[:, :t], other[:, t:]), dim=1))
        assert_equal(
            changed[:, :t], y[:, :t], f"the output before position {t}, where the input starts to differ", case
        )


def reads_the_past(build: Build[Attention | Block], case: Case) -> None:
    """Assert that the output at a position depends on the position before it."""
    # With the options' defaults: a window of one position would be a valid choice.
    case = replace(case, options=())
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    other = torch.cat((x[:, :1] + 1 + torch.arange(case.C, device=case.device), x[:, 1:]), dim=1)
    if part(x)[:, 1].equal(part(other)[:, 1]):
        raise AssertionError(f"position 1 does not depend on position 0 ({case})")


def constant_input_stays_constant(build: Build[Attention], case: Case) -> None:
    """Assert that an input that is the same at every position gives the same output at every position."""
    part, x = case.build(build), case.x()[:, :1].expand(-1, case.T, -1)
    draw_weights(part, case)
    y = part(x)
    assert_equal(y, y[:, :1].expand_as(y), "the output of a constant input", case)


def honours_attn_mask(build: Build[Attention | Block], case: Case) -> None:
    """Assert that two texts packed into one sequence do not see each other if `ctx.attn_mask` separates them."""
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    for start in range(1, case.T):
        second = torch.arange(case.T, device=case.device) >= start
        attn_mask = (second == second[:, None]).tril()  # (T, S)
        found = part(x, AttentionContext(attn_mask=attn_mask))
        alone = torch.cat((part(x[:, :start]), part(x[:, start:])), dim=1)
        assert_equal(found, alone, f"the output when position {start} starts another text", case)


def uses_its_context(build: Build[Attention | Block], case: Case) -> None:
    """Assert that queries and keys are rotated by `ctx.position`, counting from `ctx.start_pos`."""
    case = replace(case, options=())
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    position = PositionByScale(case.dims())
    plain = part(x)
    rotated, later = (part(x, AttentionContext(start_pos, position)) for start_pos in (0, 2))
    if rotated.equal(plain):
        raise AssertionError(
            "the output is the same with a position that rotates queries and keys: apply `ctx.rotate`, or raise "
            f"NotImplementedError if `ctx.rotates` ({case})"
        )
    if later.equal(rotated):
        raise AssertionError(f"the output is the same whatever `start_pos` is ({case})")
