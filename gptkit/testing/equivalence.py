"""Equality with the reference: a part has the reference's output and all of its gradients."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gptkit.interfaces import Attention, AttentionContext, Block, KeyValueCache, RecurrentAttention
from gptkit.nn import SoftmaxAttention
from gptkit.testing.accuracy import assert_as_accurate, declared_by, floor
from gptkit.testing.case import Build, Case
from gptkit.testing.outcome import NotHere
from gptkit.testing.references import Twin, twin_of
from gptkit.testing.results import Results, results
from gptkit.testing.stand_in_parts import PositionByScale
from gptkit.testing.weights import draw_weights


class FixedCache(KeyValueCache):
    """A cache that holds fixed keys and values, which come before those of the pass."""

    def __init__(self, keys: Float[Tensor, "B H S D"], values: Float[Tensor, "B H S D"]) -> None:
        self.keys, self.values = keys, values

    def update(
        self, k: Float[Tensor, "B H T D"], v: Float[Tensor, "B H T D"], start_pos: int | Int[Tensor, ""]
    ) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Return the fixed keys and values followed by the given ones; keep nothing."""
        return torch.cat((self.keys.to(k), k), dim=2), torch.cat((self.values.to(v), v), dim=2)


def in_dtype(
    law: Callable[[Build[nn.Module], Case], None], dtype: torch.dtype, build: Build[nn.Module], case: Case
) -> None:
    """Try a law in one dtype."""
    if dtype == torch.float16 and case.device.type == "cpu":
        raise NotHere("float16 is for accelerators: pass --device cuda")
    law(build, replace(case, dtype=dtype))


def equals_reference(build: Build[nn.Module], case: Case) -> None:
    """Assert that the output and every gradient equal those of the reference with the same weights."""
    part = case.build(build)
    if not isinstance(part, SoftmaxAttention):
        # Only a softmax attention takes keys and values from any cache.
        case = replace(case, earlier=0)
        part = case.build(build)
    if isinstance(part, RecurrentAttention):
        case = replace(case, mask_axes=None)
    draw_weights(part, case)
    twin, context = twin_of(part, case), context_of(part, case)
    found = results(part, case, *context)
    exact = twin.results(case, torch.float64, *context)
    sizes = sizes_of(exact, twin, part, case)
    declared = declared_by(type(part)).reference
    assert_as_accurate(found, twin.results(case, case.dtype, *context), exact, sizes, case, declared=declared)


def context_of(part: nn.Module, case: Case) -> tuple[AttentionContext, ...]:
    """Return what `forward` takes after its input: an AttentionContext, or nothing."""
    if not isinstance(part, Attention | Block):
        return ()
    position = PositionByScale(case.dims()) if case.rotated else None
    if not case.earlier:
        return (AttentionContext(0, position, None, case.attn_mask()),)
    earlier = (case.scale / 2 * case.draw(name, case.B, case.H, case.earlier, case.D) for name in "kv")
    return (AttentionContext(case.earlier, position, FixedCache(*earlier), case.attn_mask()),)


def sizes_of(exact: Results, twin: Twin, part: nn.Module, case: Case) -> Results:
    """Return how large each result would be if nothing in it cancelled."""
    largest = {name: result.abs().max() for name, result in exact.items()}
    if not isinstance(part, Attention | Block):
        return without_noise(largest)
    if isinstance(part, RecurrentAttention):
        # Without keys no query can be made to see its own alone. A gradient that cancels over the positions of
        # this input, and is then little but rounding errors, does not cancel over those of others.
        for n in (1, 2, 3):
            other = twin.results(replace(case, seed=case.seed + n), torch.float64)
            largest = {name: torch.maximum(size, other[name].abs().max()) for name, size in largest.items()}
        return without_noise(largest)
    # A query that weighs one key alone passes almost no gradient back, and rounding errors dominate the rest. So a
    # size is at least what it is when each query sees only its own key.
    alone = twin.results(
        case, torch.float64, AttentionContext(attn_mask=torch.eye(case.T, dtype=torch.bool, device=case.device))
    )
    # A weight that only moves scores gets no gradient then.
    least = without_noise({name: result.abs().max() for name, result in alone.items()})
    return {name: torch.maximum(size, least[name]) for name, size in without_noise(largest).items()}


def without_noise(sizes: Results) -> Results:
    """Return sizes, with the largest of all in place of those that are rounding errors of zero.

    The gradient of a key's bias, of what scores one key alone and of the gain of one channel's LayerNorm is zero.
    """
    most = max(sizes.values())
    is_noise = {name: size <= floor(torch.float64) * most for name, size in sizes.items()}
    return {name: most if is_noise[name] else size for name, size in sizes.items()}
