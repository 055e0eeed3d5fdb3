"""Laws of a reference itself: what is proven equal to it is worth no more than it is."""

from collections.abc import Callable
from typing import Any

from torch import nn

from gptkit.interfaces import Attention
from gptkit.registry import describe
from gptkit.testing import module_laws
from gptkit.testing.attention_laws import never_reads_the_future
from gptkit.testing.case import Build, Case
from gptkit.testing.gradient_laws import gradients_are_right


def reference_keeps_the_laws(build: Build[nn.Module], case: Case) -> None:
    """Assert that the plain part which a part names is causal, independent of its batch, and differentiable."""

    # Any, because the options of a case are of the part and the reference has its own.
    def reference(dims: Any, **options: Any) -> nn.Module:
        part: Any = build(dims, **options)
        return part.reference()

    laws: list[Callable[..., None]] = [
        module_laws.is_finite,
        module_laws.rows_are_independent,
        module_laws.eval_is_deterministic,
    ]
    if isinstance(case.build(build), Attention):
        laws.append(never_reads_the_future)
    for law in (*laws, gradients_are_right):
        try:
            law(reference, case)
        except AssertionError as error:
            where = describe(type(case.build(reference)))
            raise AssertionError(f"its reference, {where}, breaks {law.__name__}: {error}") from error
