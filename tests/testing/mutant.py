"""Deliberately broken parts: how the tables of them are written."""

from collections.abc import Mapping

# A broken class, whose first base is the right part that it breaks, to the ids of the checks that must catch it.
CaughtBy = Mapping[type, str]


def right_part_of(mutant: type) -> type:
    """Return the right part that a broken one breaks."""
    return mutant.__bases__[0]
