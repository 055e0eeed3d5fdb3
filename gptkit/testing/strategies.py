"""Hypothesis's strategies of cases: the shapes and scales at which kernels break."""

from typing import Any

from hypothesis import strategies as st

from gptkit.testing.case import Case

# One token, primes, and lengths on both sides of the blocks that kernels work in.
TIMES = (1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 33)
EARLIER = (0, 0, 0, 1, 2, 5, 19)
WIDTHS = (1, 2, 3, 4, 5, 7, 8, 16, 33)
EVEN_WIDTHS = tuple(width for width in WIDTHS if width % 2 == 0)
VISIBLE_AXES = (None, None, "T S", "B 1 T S", "1 H T S", "B H T S")


def cases(**given: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    """Return a strategy of cases.

    Args:
        given: Strategies of single fields of `Case`, in place of those here.
    """
    fields: dict[str, st.SearchStrategy[Any]] = {
        "B": st.integers(1, 3),
        "H": st.integers(1, 3),
        "T": st.sampled_from(TIMES),
        "D": st.sampled_from(WIDTHS),
        "earlier": st.sampled_from(EARLIER),
        "scale": st.floats(0.02, 4),
        "visible_axes": st.sampled_from(VISIBLE_AXES),
        "strided": st.booleans(),
        "seed": st.integers(0, 2**31 - 1),
    }
    return st.builds(Case, **(fields | given))
