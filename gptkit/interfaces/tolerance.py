"""HasTolerance: declares by how much a part departs from what it would compute exactly."""

from dataclasses import dataclass, fields
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """Largest departures, as shares of the largest number of a result. 0 allows rounding alone.

    Args:
        cached: Of what is decoded with a cache from one pass over all tokens: for a quantised cache.
        reference: Of output and gradients from those of the reference: for an approximate kernel.

    Raises:
        ValueError: If a departure is negative, or so large that keeping it says nothing.
    """

    cached: float = 0.0
    reference: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            # Not `value < 0 or value > 0.5`, which is false for NaN.
            if not 0 <= (value := getattr(self, field.name)) <= 0.5:
                raise ValueError(f"tolerance {field.name} = {value}: a departure is a share from 0 to 0.5")


class HasTolerance:
    """Says by how much a part departs from what it would compute exactly. Inherit it beside the interface.

    `gptkit.testing` holds the part to these numbers, and names them beside what held: a larger departure breaks a
    promise. All other promises are as exact as without. `attention = "auto"` chooses no such part.
    """

    tolerance: ClassVar[Tolerance] = Tolerance()
