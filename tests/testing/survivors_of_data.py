"""Broken tokenizers, corpora, optimizers and schedules that no check of the contract catches yet."""

import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import torch

from gptkit.components.optimizer.adamw import AdamWOptimizer
from gptkit.components.schedule.cosine import CosineSchedule
from gptkit.components.tokenizer.byte import ByteTokenizer
from gptkit.components.tokenizer.char import CharTokenizer
from gptkit.interfaces import ParameterGroups
from tests.testing.broken_optimizers import together
from tests.testing.mutant import Lives
from tests.testing.right_parts import BottlesCorpus


class UnifiesLineEnds(ByteTokenizer):
    """As a file does that was opened as text."""

    def encode(self, text: str) -> list[int]:
        return super().encode(text.replace("\r", "\n"))


class NumbersAsItMeets(CharTokenizer):
    """Gives an id to each character when it is first asked for it."""

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__(text)
        self.met: dict[str, int] = {}

    def encode(self, text: str) -> list[int]:
        super().encode(text)
        return [self.met.setdefault(character, len(self.met)) for character in reversed(text)][::-1]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join((list(self.met) + self.characters)[i] for i in ids)


class UnifiesAccents(ByteTokenizer):
    """An e and an accent become one character."""

    def encode(self, text: str) -> list[int]:
        return super().encode(unicodedata.normalize("NFC", text))


class StripsBlanks(ByteTokenizer):
    def encode(self, text: str) -> list[int]:
        return super().encode(text.rstrip(" \n") or text)


class OrdersByHash(CharTokenizer):
    """Another order in each process, as Python's hashes of text are."""

    def __init__(self, text: Iterable[str]) -> None:
        self.characters = sorted(set().union(*text), key=hash)
        self.ids = {character: i for i, character in enumerate(self.characters)}


class OrdersBySet(CharTokenizer):
    def __init__(self, text: Iterable[str]) -> None:
        self.characters = list(set().union(*text))
        self.ids = {character: i for i, character in enumerate(self.characters)}


class SharesItsVocabulary(CharTokenizer):
    """The last tokenizer that was made decides for all."""

    shared: ClassVar[list[str]] = []

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__(text)
        self.shared[:] = self.characters

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.shared[i] for i in ids)


class ValidatesOnEverything(BottlesCorpus):
    def validation(self) -> Iterator[str]:
        yield self.text


class ValidatesOnHalfOfTraining(BottlesCorpus):
    def validation(self) -> Iterator[str]:
        yield self.text[self.cut // 2 :]


class ValidatesOnTrainingTextInAnotherOrder(BottlesCorpus):
    def validation(self) -> Iterator[str]:
        yield from reversed(self.text[: self.cut].splitlines(keepends=True)[:9])


class SignOfTheRate(torch.optim.Optimizer):
    """Steps equally far at any learning rate above zero."""

    def __init__(self, groups: list[dict[str, Any]], rate: float) -> None:
        super().__init__(groups, {"lr": rate})
        self.rate = rate

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                weight.sub_(self.rate * weight.grad if group["lr"] else 0.0)
        return None


class KnowsOnOrOff(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        return SignOfTheRate(together(groups), 1e-2)


class NeedsEveryGradient(AdamWOptimizer):
    """Raises where a weight took no part in the loss."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        class Strict(SignOfTheRate):
            @torch.no_grad()
            def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
                for group in self.param_groups:
                    for weight in group["params"]:
                        weight.sub_(group["lr"] * weight.grad)
                return None

        return Strict(together(groups), 1e-2)


class NeedsVectors(AdamWOptimizer):
    """Raises for a model without biases and gains."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        optimizer = super().build(groups)
        optimizer.param_groups[1]["initial"] = float(groups.vectors[0].numel())
        return optimizer


class NotANumberAtOneStep(CosineSchedule):
    def __call__(self, step: int) -> float:
        return math.nan if step == 2 * self.total // 3 > 20 else super().__call__(step)


class Huge(CosineSchedule):
    def __call__(self, step: int) -> float:
        return 1e30


LIVES: Lives = {
    UnifiesLineEnds: "hardly a text has a carriage return",
    UnifiesAccents: "hardly a text has a combining accent",
    StripsBlanks: "hardly a text ends in a blank",
    NumbersAsItMeets: "no law encodes another text between",
    OrdersByHash: "no law looks into another process",
    OrdersBySet: "no law looks into another process",
    SharesItsVocabulary: "no law makes tokenizers of two texts",
    ValidatesOnEverything: "validation text is sought as a whole",
    ValidatesOnHalfOfTraining: "validation text is sought as a whole",
    ValidatesOnTrainingTextInAnotherOrder: "validation text is sought as a whole",
    KnowsOnOrOff: "no law compares two learning rates above zero",
    NeedsEveryGradient: "every weight takes part in the loss",
    NeedsVectors: "every model has vectors",
    NotANumberAtOneStep: "a few steps of a run are asked for",
    Huge: "a factor may be any number",
}
