"""The gate before a timing: a part that is not right at the very shape gets no time."""

from collections.abc import Callable

from gptkit.interfaces import Attention, HasReference
from gptkit.nn import SoftmaxAttention
from gptkit.testing.accuracy import assert_equal
from gptkit.testing.attend_equivalence import attend_equals_reference
from gptkit.testing.case import Build, Case
from gptkit.testing.equivalence import equals_reference
from gptkit.testing.laws.module import keeps_shape_and_dtype, rows_are_independent


def reason_against(attention: SoftmaxAttention, case: Case) -> str | None:
    """Return why the `attend` of an attention in eval mode may not be timed on a case, or None."""
    return failure(lambda: attend_equals_reference(attention, case), case)


def reason_against_part(build: Build[Attention], case: Case) -> str | None:
    """Return why a whole attention may not be timed on a case, or None."""

    def prove() -> None:
        if isinstance(case.build(build), SoftmaxAttention | HasReference):
            equals_reference(build, case)
        else:
            for law in (keeps_shape_and_dtype, rows_are_independent, reads_nothing_later):
                law(build, case)

    return failure(prove, case)


def reads_nothing_later(build: Build[Attention], case: Case) -> None:
    """Assert that the output before the middle does not depend on the input from the middle on."""
    part, x = case.build(build), case.x()
    middle = case.T // 2
    other = x.clone()
    other[:, middle:] = case.draw("another future", case.B, case.T - middle, case.C)
    what = f"the output before position {middle}, where the input starts to differ"
    assert_equal(part(other)[:, :middle], part(x)[:, :middle], what, case)


def failure(prove: Callable[[], None], case: Case) -> str | None:
    """Return the message of what a proof raises, or None if it raises nothing."""
    try:
        prove()
    except AssertionError as error:
        return str(error)
    # A kernel may raise any exception for what it does not support.
    except Exception as error:
        return f"{type(error).__name__}: {error} ({case})"
    return None
