"""Parts that read the environment, a clock by another name, PyTorch's seed, or what no state_dict holds."""

import os
from datetime import datetime
from time import monotonic

import torch
from torch import Tensor

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.norm.rmsnorm import RMSNorm
from gptkit.components.position.learned import LearnedPosition
from gptkit.interfaces import AttentionContext, Dims
from tests.testing.mutant import CaughtBy
from tests.testing.right_parts import SpelledOutAttention


class ReadsTheEnvironment(GeluFeedForward):
    """A switch for those who want it exact."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if os.environ.get("GELU_ROUNDS") is None else x.bfloat16().to(x.dtype))


class ReadsTheEnvironmentWhenBuilt(LayerNorm):
    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.scale = float(os.getenv("NORM_SCALE", "1"))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale


class ReadsAClockByItsName(SpelledOutAttention):
    def project(self, y: Tensor) -> Tensor:
        return super().project(y) * (1 + (monotonic() // 3600) % 7)


class ReadsTheMonth(LearnedPosition):
    def embed(self, x: Tensor, start_pos: int | Tensor) -> Tensor:
        return super().embed(x, start_pos) * datetime.now().month


class ReadsPyTorchsSeed(PreNormBlock):
    """Draws nothing, and so leaves the random state as it was."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x, ctx) * (1 + torch.initial_seed() % 3)


class ChangesAfterTenPasses(RMSNorm):
    passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return super().forward(x) * (1 if self.passes <= 10 else 2)


class CountsItsPassesInTraining(LayerNorm):
    """Shrinks what it gives from the second pass on, and counts passes where no state_dict holds them."""

    passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += self.training
        return super().forward(x) * (1 / self.passes if self.training else 1)


class KeepsItsMeanOutOfTheStateDict(GeluFeedForward):
    """Trains on its input without the mean of the inputs so far."""

    mean: Tensor

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.register_buffer("mean", torch.zeros(dims.n_embd), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        y = super().forward(x - self.mean)
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(dim=(0, 1))
        return y


CAUGHT_BY: CaughtBy = {
    ReadsTheEnvironment: "depends_on_its_input_alone",
    ReadsTheEnvironmentWhenBuilt: "depends_on_its_input_alone",
    ReadsAClockByItsName: "depends_on_its_input_alone",
    ReadsTheMonth: "depends_on_its_input_alone",
    ReadsPyTorchsSeed: "depends_on_its_input_alone",
    ChangesAfterTenPasses: "depends_on_its_input_alone",
    CountsItsPassesInTraining: "trains_on_from_its_state_dict",
    KeepsItsMeanOutOfTheStateDict: "trains_on_from_its_state_dict",
}
