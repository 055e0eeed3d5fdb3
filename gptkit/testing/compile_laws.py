"""Laws of `torch.compile`. They hold only where nothing checks annotations at run time: that breaks the graph."""

import torch
from torch import nn

from gptkit.interfaces import Attention, Block, Place, Position
from gptkit.testing.accuracy import assert_equal
from gptkit.testing.attention_laws import visible_slots
from gptkit.testing.case import Build, Case
from gptkit.testing.passes import results


def compiled_equals_eager(build: Build[nn.Module], case: Case, *, backend: str = "inductor") -> None:
    """Assert that a part compiles to one graph that has the output and the gradients of the part.

    Args:
        backend: What `torch.compile` hands the graph to.
    """
    torch.compiler.reset()
    part = case.build(build)
    eager = results(part, case)
    part.compile(fullgraph=True, backend=backend)
    compiled = results(part, case)
    for name, expected in eager.items():
        assert_equal(compiled[name], expected, f"{name}, compiled", case)


def decoding_compiles_once(
    build: Build[Attention | Block],
    case: Case,
    position: Build[Position] | None = None,
    *,
    backend: str = "inductor",
) -> None:
    """Assert that passes of one token behind a memory share one graph, and give what one pass over all gives.

    Args:
        position: Builds what turns the queries and keys.
        backend: What `torch.compile` hands the graph to.
    """
    torch.compiler.reset()
    part, x = case.build(build), case.x()
    turn = None if position is None else case.build(position)
    whole = part(x, Place(position=turn))
    memory = part.new_memory(case.B, case.dims().block_size)
    part.compile(fullgraph=True, backend=backend)
    for t in range(case.T):
        at = Place(torch.tensor(t, device=case.device), turn, memory, visible_slots(t, t + 1, case))
        with torch.no_grad(), torch._dynamo.config.patch(error_on_recompile=t > 0):
            found = part(x[:, t : t + 1], at)
        assert_equal(found, whole[:, t : t + 1], f"position {t}, compiled, behind a memory", case)
