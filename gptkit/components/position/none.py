"""No positions at all."""

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Position


class NoPosition(Position):
    """Says nothing: a causal model can still count what it sees.

    Source:
        Haviv et al. 2022, arXiv:2203.16634.
    """


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `none`."""
    register("none", NoPosition)
