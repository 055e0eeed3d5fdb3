"""Laws of every position."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gptkit.interfaces import Position
from gptkit.testing.accuracy import assert_like, assert_same, assert_within
from gptkit.testing.case import Build, Case
from gptkit.testing.laws.number import COARSE
from gptkit.testing.stand_in_parts import PositionPass
from gptkit.testing.weights import draw_weights

# Beyond the integers that bfloat16, and float16, tell apart.
FAR = 2100
# Positions from which on some are tried: where a table or a count of 5 to 8 bits ends, and far away.
STARTS = (2090, 0, 30, 254)
# Allowed in float32, as a share of the largest number: angles of thousands are rounded to about a ten-thousandth.
FINE = 1e-3
NAMES = ("embeddings", "queries", "keys")


def position_of(build: Build[PositionPass], case: Case) -> Position:
    """Build the part, and return the position that it wraps."""
    part = case.build(build)
    draw_weights(part, case)
    return part.position


def starts_anywhere(build: Build[PositionPass], case: Case) -> None:
    """Assert that results from `start_pos` on are the same with and without the tokens before them."""
    position, x = position_of(build, case), case.x()
    q, k, _ = (each[:, :, : case.T] for each in case.qkv())
    whole = (position.embed(x, 0), *position.rotate(q, k, 0))
    for start in range(case.T):
        for start_pos in (start, torch.tensor(start, device=case.device)):
            found = (
                position.embed(x[:, start:], start_pos),
                *position.rotate(q[:, :, start:], k[:, :, start:], start_pos),
            )
            for name, each, expected in zip(("embeddings", "queries", "keys"), found, whole, strict=True):
                what = f"{name} from start_pos={start_pos!r} on"
                assert_same(each, expected.narrow(-2, start, case.T - start), what, case)


def reads_positions_on_the_device(build: Build[PositionPass], case: Case) -> None:
    """Assert that a `start_pos` on the device is never read by the host."""
    # Meta tensors hold no data: reading one raises where a device would make the host wait.
    case = replace(case, device=torch.device("meta"))
    position, x, start_pos = case.build(build).position, case.x(), torch.tensor(1, device="meta")
    q, k, _ = (each[:, :, : case.T] for each in case.qkv())
    try:
        found = (position.embed(x, start_pos), *position.rotate(q, k, start_pos))
    except RuntimeError as error:
        raise AssertionError(f"it makes the host wait for `start_pos` on the device: {error} ({case})") from error
    for name, each, given in zip(("embeddings", "queries", "keys"), found, (x, q, k), strict=True):
        assert_like(each, given, name, case)


def position_mutates_nothing(build: Build[PositionPass], case: Case) -> None:
    """Assert that `embed` and `rotate` do not modify their inputs."""
    position, x = position_of(build, case), case.x()
    q, k, _ = (each[:, :, : case.T] for each in case.qkv())
    given = {"embeddings": x, "queries": q, "keys": k}
    before = {name: each.clone() for name, each in given.items()}
    position.embed(x, 0)
    position.rotate(q, k, 0)
    for name, each in given.items():
        assert_same(each, before[name], f"{name} after `embed` and `rotate`", case)


def takes_fewer_keys(build: Build[PositionPass], case: Case) -> None:
    """Assert that keys of fewer heads than the queries are rotated as they are among as many."""
    position = position_of(build, case)
    q, k, _ = (each[:, :, : case.T] for each in case.qkv())
    queries, keys = position.rotate(q, k, 0)
    for heads in range(1, case.H):
        for name, found, expected in zip(
            ("queries", "keys"), position.rotate(q, k[:, :heads], 0), (queries, keys[:, :heads]), strict=True
        ):
            assert_same(found, expected, f"{name} where keys have {heads} of {case.H} heads", case)


def starts_far_away(build: Build[PositionPass], case: Case) -> None:
    """Assert that results thousands of positions on do not depend on earlier passes, length or gradients."""
    case = far(case)
    position = position_of(build, case)
    # What is kept from a pass in another dtype, or from elsewhere, must not stay.
    encoded(position, 7, replace(case, dtype=torch.bfloat16))
    whole = encoded(position_of(build, case), 0, replace(case, T=FAR))
    for start in STARTS:
        for mode in (torch.enable_grad, torch.no_grad, torch.inference_mode):
            with mode():
                found = encoded(position, start, case)
            for name, each, expected in zip(NAMES, found, whole, strict=True):
                what = f"{name} from start_pos={start} on, under {mode.__name__},"
                assert_same(each, expected.narrow(-2, start, case.T), what, case)


def is_right_far_away(build: Build[PositionPass], case: Case) -> None:
    """Assert that low precision does not blur positions that are thousands apart."""
    case = far(case)
    for dtype, allowed in ((torch.float32, FINE), (torch.bfloat16, COARSE)):
        each = replace(case, dtype=dtype)
        exact = position_of(build, case)
        exact.load_state_dict(position_of(build, each).state_dict())
        part = position_of(build, each)
        for start in STARTS:
            pairs = zip(NAMES, encoded(part, start, each), encoded(exact, start, case), strict=True)
            for name, found, expected in pairs:
                what = f"{name} from start_pos={start} on"
                assert_within(allowed, found.double(), expected, what, each)


def depends_on_distance(build: Build[PositionPass], case: Case) -> None:
    """Assert that the product of a query and a key depends on the distance between them alone."""
    case, T = far(case), 300
    position = position_of(build, case)
    q, k = (case.draw(name, 1, case.H, 1, case.D).expand(-1, -1, T, -1) for name in "qk")
    # The same query and the same key at every position: products along a diagonal are equal.
    expected = None
    for start in (0, FAR - T):
        rotated_q, rotated_k = position.rotate(q, k, start)
        products = rotated_q @ rotated_k.mT  # (1, H, T, T)
        if expected is None:
            ahead, back = products[:, :, 0], products[:, :, 1:, 0].flip(-1)  # (1, H, T), (1, H, T - 1)
            expected = torch.cat((back, ahead), dim=-1).unfold(-1, T, 1).flip(-2)
        assert_within(FINE, products, expected, f"q·k of equal queries and keys from start_pos={start} on", case)


def far(case: Case) -> Case:
    """Return the case with few positions, in a context of thousands."""
    return replace(case, B=1, T=5, spare=FAR - 5)


def encoded(
    position: Position, start_pos: int | Int[Tensor, ""], case: Case
) -> tuple[Float[Tensor, "B T C"], Float[Tensor, "B H T D"], Float[Tensor, "B H T D"]]:
    """Return embeddings, queries and keys of ones, with positions from `start_pos` on."""
    ones = torch.ones(case.B, case.T, case.C, dtype=case.dtype, device=case.device)
    heads = ones.view(case.B, case.T, case.H, case.D).transpose(1, 2)
    return position.embed(ones, start_pos), *position.rotate(heads, heads, start_pos)
