"""A corpus to start from: addition problems."""

import random
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from gptkit.hookspecs import Register, hookimpl
from gptkit.interfaces import Corpus


class MineCorpus(Corpus):
    r"""Every sum of two numbers up to `largest`, once, in a fixed random order: `17+25=42\n`.

    Change: `lines`; or yield your own text from both methods, in pieces of any length. If the text cannot be read,
    raise `gptkit.errors.DataError` with a message that says what to do. Your own options are keyword-only,
    annotated parameters of the constructor. For text in files there is `text`. For one text from elsewhere, whose
    end is held out, inherit `gptkit.data.SplitCorpus`.

    Promised: each method yields the same text at every call, and the validation text is not in the training text.

    Args:
        largest: Largest number that is added.
        validation_share: Share of the sums held out for validation.
    """

    def __init__(
        self,
        *,
        largest: Annotated[int, Field(ge=9, le=999)] = 99,
        validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.largest = largest
        self.training_sums = int((largest + 1) ** 2 * (1 - validation_share))

    def lines(self) -> list[str]:
        """Return every sum, shuffled."""
        numbers = range(self.largest + 1)
        sums = [f"{a}+{b}={a + b}\n" for a in numbers for b in numbers]
        random.Random(0).shuffle(sums)
        return sums

    def train(self) -> Iterator[str]:
        """Yield the first sums."""
        yield "".join(self.lines()[: self.training_sums])

    def validation(self) -> Iterator[str]:
        """Yield the other sums."""
        yield "".join(self.lines()[self.training_sums :])


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `mine`."""
    register("mine", MineCorpus)
