from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Position


class NoPosition(Position):
    """Adds nothing: a causal model can infer positions from how many tokens it sees.

    Source:
        Haviv et al. 2022, arXiv:2203.16634.
    """


@hookimpl
def gptkit_register(register: Register) -> None:
    register("none", NoPosition)
