"""The law of references: equality with a wrong reference proves nothing."""

from collections.abc import Callable
from typing import Any

from torch import nn

from gptkit.interfaces import Attention, Block
from gptkit.registry.registry import class_location
from gptkit.testing.case import Build, Case
from gptkit.testing.laws import module as module_laws
from gptkit.testing.laws.attention import never_reads_the_future
from gptkit.testing.laws.gradient import gradients_are_right
from gptkit.testing.laws.number import is_finite
from gptkit.testing.laws.state import eval_is_deterministic


def reference_keeps_the_laws(build: Build[nn.Module], case: Case) -> None:
    """Assert that the reference is finite, causal and deterministic, keeps rows apart and has right gradients."""

    # Any, because the case's options are the part's, not the reference's.
    def reference(dims: Any, **options: Any) -> nn.Module:
        part: Any = build(dims, **options)
        return part.reference()

    laws: list[Callable[..., None]] = [
        is_finite,
        module_laws.rows_are_independent,
        eval_is_deterministic,
    ]
    if isinstance(case.build(build), Attention | Block):
        laws.append(never_reads_the_future)
    for law in (*laws, gradients_are_right):
        try:
            law(reference, case)
        except AssertionError as error:
            where = class_location(type(case.build(reference)))
            raise AssertionError(f"its reference, {where}, breaks {law.__name__}: {error}") from error
