"""Right tokenizers, corpora, optimizers and schedules that are unlike the built-in ones."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gptkit.interfaces import Corpus, Optimizer, ParameterGroups, Schedule, Tokenizer
from tests.testing.right_corpora import VariedCorpus
from tests.testing.right_optimizers import MomentumDescent, MomentumOptimizer
from tests.testing.right_tokenizers import MergeTokenizer


class HalfByteTokenizer(Tokenizer):
    """Two tokens for each byte of UTF-8, of 16."""

    @property
    def vocab_size(self) -> int:
        return 16

    def encode(self, text: str) -> list[int]:
        return [int(digit, 16) for digit in text.encode("utf-8").hex()]

    def decode(self, ids: Sequence[int]) -> str:
        digits = "".join(f"{i:x}" for i in ids)
        return bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", errors="replace")

    def to_json(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "HalfByteTokenizer":
        return cls([])


class LongestMatchTokenizer(Tokenizer):
    """The longest of its pieces that fits, and bytes where none does."""

    def __init__(self, text: Iterable[str]) -> None:
        super().__init__(text)
        words = "".join(text).split(" ")
        self.pieces = sorted({word[:n] for word in words for n in (2, 3, 4) if len(word) >= n})[:64]

    @property
    def vocab_size(self) -> int:
        return 256 + len(self.pieces)

    def encode(self, text: str) -> list[int]:
        numbers = {piece: i for i, piece in enumerate(self.pieces, start=256)}
        ids: list[int] = []
        at = 0
        while at < len(text):
            piece = next((text[at : at + n] for n in (4, 3, 2) if text[at : at + n] in numbers), "")
            ids += [numbers[piece]] if piece else text[at].encode("utf-8")
            at += len(piece) or 1
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        spelt = (bytes([i]) if i < 256 else self.pieces[i - 256].encode("utf-8") for i in ids)
        return b"".join(spelt).decode("utf-8", errors="replace")

    def to_json(self) -> dict[str, Any]:
        return {"pieces": self.pieces}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "LongestMatchTokenizer":
        tokenizer = cls([])
        tokenizer.pieces = list(saved["pieces"])
        return tokenizer


class RecordsCorpus(Corpus):
    """Lines of JSON, of which every tenth is held out."""

    def records(self) -> Iterator[str]:
        for i in range(300):
            yield json.dumps({"id": i, "text": f"record {i * i * 7919 % 9973} of {i * 31 % 97}"}) + "\n"

    def train(self) -> Iterator[str]:
        yield from (record for i, record in enumerate(self.records()) if i % 10)

    def validation(self) -> Iterator[str]:
        yield from (record for i, record in enumerate(self.records()) if not i % 10)


class LionDescent(MomentumDescent):
    def update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        velocity = self.velocity(weight)
        weight.mul_(1 - self.decay(group)).sub_(self.rate(group) * velocity.lerp(gradient, 0.1).sign())
        velocity.lerp_(gradient, 0.01)


class LionOptimizer(MomentumOptimizer):
    """The sign of a mean of gradients. Chen et al. 2023, arXiv:2302.06675."""

    descent = LionDescent

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        optimizer = super().build(groups)
        for group in optimizer.param_groups:
            group["lr"] = 1e-3
        return optimizer


class RmsPropOptimizer(Optimizer):
    """PyTorch's RMSprop, at a smaller rate for embeddings."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        rates = ((groups.matrices + groups.vectors, 1e-3), (groups.embeddings, 5e-4))
        return torch.optim.RMSprop([{"params": weights, "lr": rate} for weights, rate in rates], lr=1e-3)


class AdagradOptimizer(Optimizer):
    """PyTorch's Adagrad, which has a state from the beginning."""

    def build(self, groups: ParameterGroups) -> torch.optim.Optimizer:
        return torch.optim.Adagrad(groups.matrices + groups.embeddings + groups.vectors, lr=1e-2)


class InverseRootSchedule(Schedule):
    """Rises over the first tenth, then falls with the root of the step. Vaswani et al. 2017."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.warmup = max(1, total // 10)

    def __call__(self, step: int) -> float:
        return min((step + 1) / self.warmup, math.sqrt(self.warmup / (step + 1)))


class CyclicSchedule(Schedule):
    """Triangles of 40 steps. Smith 2017, arXiv:1506.01186."""

    def __call__(self, step: int) -> float:
        return 1 - abs(step % 40 - 20) / 25


class LinearSchedule(Schedule):
    """A straight line from 1 to 0 at the end."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.total = total

    def __call__(self, step: int) -> float:
        return (self.total - step) / self.total


class StairsSchedule(Schedule):
    """Falls to a tenth in the middle and to a hundredth at three quarters of the run. He et al. 2015."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.total = total

    def __call__(self, step: int) -> float:
        return 0.1 ** ((2 * step >= self.total) + (4 * step >= 3 * self.total))


UNUSUAL = (
    MergeTokenizer,
    HalfByteTokenizer,
    LongestMatchTokenizer,
    VariedCorpus,
    RecordsCorpus,
    MomentumOptimizer,
    LionOptimizer,
    RmsPropOptimizer,
    AdagradOptimizer,
    InverseRootSchedule,
    CyclicSchedule,
    LinearSchedule,
    StairsSchedule,
)
