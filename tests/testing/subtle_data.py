"""Broken tokenizers, corpora, optimizers and schedules that the first version of the kit did not catch."""

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
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import BottlesCorpus


class UnifiesLineEnds(ByteTokenizer):
    """Like a file opened in text mode."""

    def encode(self, text: str) -> list[int]:
        return super().encode(text.replace("\r", "\n"))


class NumbersAsItMeets(CharTokenizer):
    """Numbers characters in the order in which they are first encoded."""

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


class SharesItsVocabulary(CharTokenizer):
    """All tokenizers share the vocabulary of the last one."""

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
    """Gradient descent with the same step at any learning rate above zero."""

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
    """Raises if a weight has no gradient."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        class Strict(SignOfTheRate):
            @torch.no_grad()
            def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
                for group in self.param_groups:
                    for weight in group["params"]:
                        weight.sub_(group["lr"] * weight.grad)
                return None

        return Strict(together(groups), 1e-2)


class NotANumberAtOneStep(CosineSchedule):
    def __call__(self, step: int) -> float:
        return math.nan if step == 2 * self.total // 3 > 20 else super().__call__(step)


CAUGHT_BY: CaughtBy = {
    UnifiesLineEnds: "round_trips",
    UnifiesAccents: "round_trips",
    StripsBlanks: "round_trips",
    NumbersAsItMeets: "is_a_function_of_the_text",
    SharesItsVocabulary: "is_a_function_of_the_text",
    ValidatesOnEverything: "keeps_validation_apart",
    ValidatesOnHalfOfTraining: "keeps_validation_apart",
    ValidatesOnTrainingTextInAnotherOrder: "keeps_validation_apart",
    KnowsOnOrOff: "follows_the_learning_rate",
    NeedsEveryGradient: "leaves_out_what_has_no_gradient",
    NotANumberAtOneStep: "is_defined_throughout",
}
