"""Laws of `ctx.attn_mask`: of any shape that broadcasts, alone and beside a cache, or none."""

from dataclasses import replace
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gptkit.interfaces import Attention, AttentionContext, Block
from gptkit.model import segment_mask
from gptkit.testing.accuracy import assert_decoded, assert_equal
from gptkit.testing.case import Build, Case
from gptkit.testing.laws.cache import cached_mask, slots_of
from gptkit.testing.weights import draw_weights

# Axes of a mask of several queries, and of one query.
FORMS = ("T S", "1 T S", "1 1 T S", "B 1 T S", "1 H T S", "B H T S")
FORMS_OF_ONE = ("S", "1 S", *FORMS)


def reads_every_form_of_mask(build: Build[Attention | Block], case: Case) -> None:
    """Assert that `ctx.attn_mask` broadcasts over rows and heads, for a whole sequence and beside a cache."""
    # As many rows as heads, where there are few: one axis taken for the other would broadcast, too.
    case = replace(case, B=min(max(case.H, 2), 3))
    part = case.build(build)
    draw_weights(part, case)
    for start in sorted({0, case.T // 2, case.T - 1}):
        for axes in FORMS_OF_ONE if case.T - start == 1 else FORMS:
            attn_mask = draw_causal_mask(axes, start, case)
            whole = attn_mask.expand(case.B, case.H, case.T - start, -1)
            found = after(start, part, case.x(), attn_mask, case)
            # Each row alone, with a mask that leaves nothing to broadcast.
            rows = [
                after(start, part, case.x()[b : b + 1], whole[b : b + 1].contiguous(), case) for b in range(case.B)
            ]
            what = f"positions {start} to {case.T - 1} when `attn_mask` has axes {axes}"
            assert_equal(found, torch.cat(rows), what, case)


def reads_the_mask_of_each_head(build: Build[Attention | Block], case: Case) -> None:
    """Assert that each head reads its own part of an `attn_mask` that has an axis for heads."""
    # With the options' defaults: in a window of one position, a mask hides nothing more.
    case = replace(case, options=())
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    positions = torch.arange(case.T, device=case.device)
    own, past = positions == positions[:, None], positions <= positions[:, None]  # (T, S)
    shown = part(x, AttentionContext(attn_mask=past.expand(1, case.H, -1, -1)))
    for head in range(case.H):
        alone = torch.arange(case.H, device=case.device)[:, None, None] == head
        if part(x, AttentionContext(attn_mask=torch.where(alone, own, past)[None])).equal(shown):
            raise AssertionError(
                f"the output is the same when `attn_mask` hides the past from head {head} alone ({case})"
            )


def decodes_without_a_mask(build: Build[Attention | Block], case: Case) -> None:
    """Assert that beside a cache that is full, `attn_mask=None` means the causal mask, with gradients or not."""
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    # A cache of just this length: with more slots, the last key would not be that of the last query.
    full = replace(case, spare=0)
    whole = part(x)
    for start in sorted({0, case.T // 2, case.T - 1}):
        for gradients in (False, True):
            with torch.set_grad_enabled(gradients):
                found = after(start, part, x, None, full)
            what = f"positions {start} to {case.T - 1}, decoded with a full cache and without a mask"
            assert_decoded(found, whole[:, start:], what, part, case)


def reads_packed_texts_apart(build: Build[Attention | Block], case: Case) -> None:
    """Assert that texts packed into a row, told apart by `ctx.segment_ids` and a mask, are what each is alone."""
    case = replace(case, T=case.T + 2)
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    # Three texts, the middle one of one position in a short row.
    edges = [0, (case.T + 1) // 3, (2 * case.T + 1) // 3, case.T]
    texts = list(pairwise(edges))
    ids = torch.cat([torch.full((end - start,), id) for (start, end), id in zip(texts, (5, 9, 2), strict=True)])
    segment_ids = ids.to(case.device).expand(case.B, -1)  # (B, T)
    packed = part(x, AttentionContext(attn_mask=segment_mask(segment_ids), segment_ids=segment_ids))
    for start, end in texts:
        alone = part(x[:, start:end], AttentionContext(start))
        assert_equal(packed[:, start:end], alone, f"positions {start} to {end - 1}, packed with other texts", case)


def after(
    start: int,
    part: Attention | Block,
    x: Float[Tensor, "B T C"],
    attn_mask: Bool[Tensor, "..."] | None,
    case: Case,
) -> Float[Tensor, "B later C"]:
    """Return the output from a position on. What comes before was decoded with a cache."""
    if not start and attn_mask is not None:
        return part(x, AttentionContext(attn_mask=attn_mask))
    cache = part.new_cache(len(x), slots_of(case))
    if start:
        part(x[:, :start], AttentionContext(0, None, cache, cached_mask(cache, 0, start, case)))
    return part(x[:, start:], AttentionContext(start, None, cache, attn_mask))


def draw_causal_mask(axes: str, start: int, case: Case) -> Bool[Tensor, "..."]:
    """Return a mask with the given axes for the queries from a position on, which hides about half of the past."""
    keys = torch.arange(slots_of(case) if start else case.T, device=case.device)
    queries = torch.arange(start, case.T, device=case.device)[:, None]
    sizes = {"B": case.B, "H": case.H, "T": case.T - start, "S": len(keys), "1": 1}
    visible = case.draw(f"visible {axes}", *(sizes[axis] for axis in axes.split())) > 0
    own, past = keys == queries, keys <= queries  # (T, S)
    return (visible & past | own) if "T" in axes else (visible & past[0] | own[0])
