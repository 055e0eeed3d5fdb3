"""What a part declares that it cannot be combined with. The contract does not ask it for that."""

from contextlib import suppress
from dataclasses import replace

import torch

from gptkit.interfaces import AttentionContext, HasLimits
from gptkit.testing.case import Case, tokens_of
from gptkit.testing.stand_in_parts import PositionByScale
from gptkit.testing.subject import Subject


def contexts_of(case: Case) -> dict[str, AttentionContext]:
    """Return a context for each limit that a part may declare, in words; "" stands for a plain context."""
    second = torch.arange(case.T, device=case.device) * 2 >= case.T
    segment_ids = second.long().expand(case.B, -1)
    attn_mask = (second == second[:, None]).tril()  # (T, T)
    plain = AttentionContext(tokens=tokens_of(case.x()))
    return {
        "": plain,
        "a position that rotates": replace(plain, position=PositionByScale(case.dims())),
        "a mask": replace(plain, attn_mask=attn_mask),
        "packed texts": replace(plain, attn_mask=attn_mask, segment_ids=segment_ids),
    }


def declared_limits(subject: Subject) -> dict[str, str]:
    """Return the reason for each limit that a part declares, by the words of `contexts_of`."""
    if not issubclass(subject.part, HasLimits):
        return {}
    # If it cannot be built here, or fails to say, a check reports it.
    with suppress(Exception):
        H, D = subject.sizes[0]
        case = Case(B=1, H=H, T=2, D=D)
        part = subject.build(case.dims())
        return {words: reason for words, ctx in contexts_of(case).items() if (reason := part.refusal(ctx))}
    return {}
