"""Parts that do something else in another process: by the hash of a text, the locale, or what a class keeps."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.optimizer.adamw import AdamWOptimizer
from gptkit.components.schedule.cosine import CosineSchedule
from gptkit.components.tokenizer.char import CharTokenizer
from gptkit.interfaces import ParameterGroups
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import FileCorpus, SquaresCorpus


class NumbersInTheOrderOfASet(CharTokenizer):
    """The usual slip: `list(set(text))`."""

    def __init__(self, text: Iterable[str]) -> None:
        self.characters = list(set("".join(text)))
        self.ids = {character: i for i, character in enumerate(self.characters)}

    def to_json(self) -> dict[str, Any]:
        return {"characters": self.characters}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "NumbersInTheOrderOfASet":
        tokenizer = cls([])
        tokenizer.characters = saved["characters"]
        tokenizer.ids = {character: i for i, character in enumerate(tokenizer.characters)}
        return tokenizer


class SavesANumberOfItsProcess(CharTokenizer):
    kept: ClassVar[list[list[str]]] = []

    def to_json(self) -> dict[str, Any]:
        self.kept.append(self.characters)
        return {"number": len(self.kept) - 1}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "CharTokenizer":
        return cls(cls.kept[saved["number"]])


class HoldsOutByHash(SquaresCorpus):
    """Which lines are for validation follows from the hash of each."""

    def train(self) -> Iterator[str]:
        yield from (line for line in self.text.splitlines(keepends=True) if hash(line) % 10)

    def validation(self) -> Iterator[str]:
        yield from (line for line in self.text.splitlines(keepends=True) if not hash(line) % 10)


class ReadsInTheEncodingOfTheLocale(FileCorpus):
    """The file has an é."""

    def pieces(self) -> Iterator[str]:
        yield Path(self.path).read_text()


class KeepsFactorsOfAllRuns(CosineSchedule):
    """By step alone, whatever the length of the run."""

    factors: ClassVar[dict[int, float]] = {}

    def __call__(self, step: int) -> float:
        return self.factors.setdefault(step, super().__call__(step))


class BreaksTiesByHash(AdamWOptimizer):
    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        optimizer = super().build(groups)
        optimizer.param_groups[0]["lr"] *= 1 + hash("matrices") % 100 / 1000
        return optimizer


class ScalesByHash(LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + hash("layernorm") % 100 / 1000)


CAUGHT_BY: CaughtBy = {
    NumbersInTheOrderOfASet: "tokenizer_is_the_same_in_another_process",
    SavesANumberOfItsProcess: "tokenizer_is_the_same_in_another_process",
    HoldsOutByHash: "corpus_is_the_same_in_another_process",
    ReadsInTheEncodingOfTheLocale: "corpus_is_the_same_in_another_process",
    KeepsFactorsOfAllRuns: "schedule_is_the_same_in_another_process",
    BreaksTiesByHash: "optimizer_is_the_same_in_another_process",
    ScalesByHash: "is_the_same_in_another_process",
}
