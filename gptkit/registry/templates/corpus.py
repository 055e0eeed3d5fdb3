"""A corpus to start from: sums to learn adding by."""

import random
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Corpus


class MineCorpus(Corpus):
    r"""Every sum of two numbers up to `largest`, once, in an order that is the same each time: `17+25=42\n`.

    Change: `lines`, or yield text of your own from both methods, in pieces of any length. Where it cannot be had,
    raise `gptkit.errors.DataError` with a message that says what to do. Options are the keyword-only, annotated
    parameters of the constructor. For one text in files there is `text`; for one text from elsewhere, of which the
    end is held out, inherit `gptkit.data.SplitCorpus`.

    Promised: both methods yield the same text every time, and what is for validation is not trained on.

    Args:
        largest: The largest number that is added.
        validation_share: Share of the sums that is for validation.
    """

    def __init__(
        self,
        *,
        largest: Annotated[int, Field(ge=9, le=999)] = 99,
        validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.largest, self.validation_share = largest, validation_share

    def lines(self) -> list[str]:
        """Return every sum."""
        numbers = range(self.largest + 1)
        sums = [f"{a}+{b}={a + b}\n" for a in numbers for b in numbers]
        random.Random(0).shuffle(sums)
        return sums

    @property
    def cut(self) -> int:
        """Number of sums before those for validation."""
        return int((self.largest + 1) ** 2 * (1 - self.validation_share))

    def train(self) -> Iterator[str]:
        """Yield the sums up to the cut."""
        yield "".join(self.lines()[: self.cut])

    def validation(self) -> Iterator[str]:
        """Yield the sums from the cut on."""
        yield "".join(self.lines()[self.cut :])


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MineCorpus)
