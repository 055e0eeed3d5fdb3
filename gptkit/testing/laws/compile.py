"""Laws of `torch.compile`. They do not run where annotations are checked at run time: that breaks the graph."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn

from gptkit.interfaces import Attention, AttentionContext, Block
from gptkit.testing.accuracy import assert_decoded, assert_equal
from gptkit.testing.case import Build, Case
from gptkit.testing.laws.cache import cached_mask, slots_of
from gptkit.testing.outcome import NotHere
from gptkit.testing.results import results


def compiles_to_one_graph(build: Build[nn.Module], case: Case) -> None:
    """Assert that the part compiles to one graph that has the eager output and gradients."""
    compiled_equals_eager(build, case, backend="aot_eager")


def compiled_equals_eager(build: Build[nn.Module], case: Case, *, backend: str = "inductor") -> None:
    """Assert that the part compiled by TorchInductor has the eager output and gradients.

    Args:
        backend: Of `torch.compile`.
    """
    reset_compiler(backend)
    case = replace(case, dtype=torch.float32)
    part = case.build(build)
    eager = results(part, case)
    part.compile(fullgraph=True, backend=backend)
    with quiet_compiler():
        compiled = results(part, case)
    for name, expected in eager.items():
        assert_equal(compiled[name], expected, f"{name}, compiled", case)


def compiles_for_any_length(build: Build[nn.Module], case: Case) -> None:
    """Assert that the compiled part takes inputs of other lengths and gives the eager output for each."""
    reset_compiler("aot_eager")
    case = replace(case, dtype=torch.float32)
    part, eager = case.build(build), case.build(build)
    part.compile(fullgraph=True, backend="aot_eager")
    # All within the context that the part was built for. At the second length the compiler learns that lengths
    # vary; the third is one that it has not seen.
    for T in (case.T, case.T + 3, case.T + 1, 1):
        x = replace(case, T=T).x()
        with quiet_compiler():
            found = part(x)
        assert_equal(found, eager(x), f"the output at T={T} after compiling at other lengths", case)


def decoding_compiles_once(build: Build[Attention | Block], case: Case, *, backend: str = "aot_eager") -> None:
    """Assert that decoding token by token with a cache compiles once and equals one pass over all tokens.

    Args:
        backend: Of `torch.compile`.
    """
    reset_compiler(backend)
    case = replace(case, dtype=torch.float32)
    part, x = case.build(build), case.x()
    whole = part(x)
    cache = part.new_cache(case.B, slots_of(case))
    part.compile(fullgraph=True, backend=backend)
    for t in range(case.T):
        start_pos, attn_mask = torch.tensor(t, device=case.device), cached_mask(cache, t, t + 1, case)
        ctx = AttentionContext(start_pos, None, cache, attn_mask)
        with torch.no_grad(), quiet_compiler(), torch._dynamo.config.patch(error_on_recompile=t > 0):
            found = part(x[:, t : t + 1], ctx)
        assert_decoded(found, whole[:, t : t + 1], f"position {t}, compiled, decoded with a cache", part, case)


def reset_compiler(backend: str) -> None:
    """Reset the compiler, so that no earlier graph is reused.

    Raises:
        NotHere: If nothing can be compiled here, or annotations are checked at run time.
    """
    if any(type(finder).__module__.startswith("jaxtyping") for finder in sys.meta_path):
        raise NotHere("annotations are checked at run time here, which breaks the graph; use `gptkit check`")
    if backend == "inductor" and not has_compiler():
        raise NotHere("torch.compile needs a C++ compiler and found none: install g++ or clang, or set CXX")
    torch.compiler.reset()


@contextmanager
def quiet_compiler() -> Iterator[None]:
    """Ignore the compiler's own deprecation warnings and its advice, for tests in which warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # On CUDA it advises TensorFloat32, for one thing.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\._inductor")
        yield


def has_compiler() -> bool:
    """Return whether `torch.compile` finds a C++ compiler."""
    # Imported here, because it takes seconds. Private, because nothing public names the compiler.
    from torch._inductor import cpp_builder  # noqa: PLC0415
    from torch._inductor.exc import InvalidCxxCompiler  # noqa: PLC0415

    try:
        return bool(cpp_builder.get_cpp_compiler())
    except InvalidCxxCompiler:
        return False
