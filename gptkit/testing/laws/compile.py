"""Laws of `torch.compile`. They hold only where nothing checks annotations at run time: that breaks the graph."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn

from gptkit.interfaces import Attention, AttentionContext, Block
from gptkit.testing.accuracy import assert_equal
from gptkit.testing.case import Build, Case
from gptkit.testing.laws.cache import cached_mask, slots_of
from gptkit.testing.outcome import NotHere
from gptkit.testing.results import results


def compiles_to_one_graph(build: Build[nn.Module], case: Case) -> None:
    """Assert that a part is one graph to `torch.compile`, which gives what the part gives, gradients too."""
    compiled_equals_eager(build, case, backend="aot_eager")


def compiled_equals_eager(build: Build[nn.Module], case: Case, *, backend: str = "inductor") -> None:
    """Assert that a part compiles to one graph that has the output and the gradients of the part.

    Args:
        backend: What `torch.compile` hands the graph to.
    """
    ready(backend)
    case = replace(case, dtype=torch.float32)
    part = case.build(build)
    eager = results(part, case)
    part.compile(fullgraph=True, backend=backend)
    with quiet_compiler():
        compiled = results(part, case)
    for name, expected in eager.items():
        assert_equal(compiled[name], expected, f"{name}, compiled", case)


def compiles_for_any_length(build: Build[nn.Module], case: Case) -> None:
    """Assert that a compiled part takes inputs of other lengths, and gives what the part gives."""
    ready("aot_eager")
    case = replace(case, dtype=torch.float32)
    part, eager = case.build(build), case.build(build)
    part.compile(fullgraph=True, backend="aot_eager")
    # All within the context that the part was built for. The second shows the compiler that lengths differ, and
    # the third is one that it has not seen.
    for T in (case.T, case.T + 3, case.T + 1, 1):
        x = replace(case, T=T).x()
        with quiet_compiler():
            found = part(x)
        assert_equal(found, eager(x), f"the output at T={T}, compiled at other lengths", case)


def decoding_compiles_once(build: Build[Attention | Block], case: Case, *, backend: str = "aot_eager") -> None:
    """Assert that passes of one token behind a memory share one graph, and give what one pass over all gives.

    Args:
        backend: What `torch.compile` hands the graph to.
    """
    ready(backend)
    case = replace(case, dtype=torch.float32)
    part, x = case.build(build), case.x()
    whole = part(x)
    cache = part.new_cache(case.B, slots_of(case))
    part.compile(fullgraph=True, backend=backend)
    for t in range(case.T):
        ctx = AttentionContext(torch.tensor(t, device=case.device), None, cache, cached_mask(t, t + 1, case))
        with torch.no_grad(), quiet_compiler(), torch._dynamo.config.patch(error_on_recompile=t > 0):
            found = part(x[:, t : t + 1], ctx)
        assert_equal(found, whole[:, t : t + 1], f"position {t}, compiled, behind a memory", case)


def ready(backend: str) -> None:
    """Forget what was compiled before.

    Raises:
        NotHere: If nothing can be compiled here, or annotations are checked as code runs.
    """
    if any(type(finder).__module__.startswith("jaxtyping") for finder in sys.meta_path):
        raise NotHere("annotations are checked as code runs, and that breaks the graph: `gptkit check` does not")
    if backend == "inductor" and not has_compiler():
        raise NotHere("torch.compile needs a C++ compiler, and there is none: install g++ or clang, or set CXX")
    torch.compiler.reset()


@contextmanager
def quiet_compiler() -> Iterator[None]:
    """Keep the compiler's own warnings of what it will drop from tests in which a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def has_compiler() -> bool:
    """Return whether there is a C++ compiler for `torch.compile` to call."""
    # Seconds to import, and private: nothing public says what the compiler will call.
    from torch._inductor import cpp_builder  # noqa: PLC0415
    from torch._inductor.exc import InvalidCxxCompiler  # noqa: PLC0415

    try:
        return bool(cpp_builder.get_cpp_compiler())
    except InvalidCxxCompiler:
        return False
