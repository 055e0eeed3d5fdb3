"""Parts that read or keep what is neither an argument nor a weight: clock, process, random state, environment."""

import random
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.feed_forward.gelu import GeluFeedForward
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.norm.rmsnorm import RMSNorm
from gptkit.components.position.sinusoidal import SinusoidalPosition
from gptkit.interfaces import AttentionContext, BlockParts, Dims
from tests.testing.mutant import CaughtBy
from tests.testing.unusual_parts import UnusualAttention


class ReadsItsAddress(UnusualAttention):
    """Scales by where it lies in memory."""

    def project(self, y: Tensor, x: Tensor) -> Tensor:
        return super().project(y, x) * (1 + id(self) // 16 % 10_007)


class ReadsNumpysRandomState(PreNormBlock):
    """Scales by the state of NumPy's generator and draws nothing."""

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        state = np.random.get_state(legacy=False)["state"]
        return super().forward(x, ctx) * (1 + int(state["key"][0]) % 7)


class ReadsTorchsSeed(GeluFeedForward):
    """Scales by the seed of the run, in eval mode as well."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + torch.initial_seed() % 5)


class DrawsAndPutsBack(UnusualAttention):
    """Draws a scale from Python's generator and restores its state."""

    def project(self, y: Tensor, x: Tensor) -> Tensor:
        state = random.getstate()
        scale = 1 + random.random()
        random.setstate(state)
        return super().project(y, x) * scale


class ReadsTheDefaultDtype(RMSNorm):
    """Computes in PyTorch's default dtype."""

    def forward(self, x: Tensor) -> Tensor:
        gain = self.norm.weight.to(torch.get_default_dtype())
        return F.rms_norm(x.to(gain.dtype), x.shape[-1:], gain, self.norm.eps).to(x.dtype)


class SharesAMean(LayerNorm):
    """Keeps the mean of the last pass in the class, and adds it in whatever norm comes next."""

    shared: ClassVar[list[float]] = [0.0]

    def forward(self, x: Tensor) -> Tensor:
        mean, self.shared[0] = self.shared[0], float(x.detach().double().mean())
        return super().forward(x) + 1e-3 * mean


class CountsLayers(PreNormBlock):
    """Scales by the number of blocks that were made before."""

    made = 0

    def __init__(self, dims: Dims, parts: BlockParts) -> None:
        super().__init__(dims, parts)
        self.number = CountsLayers.made % 100
        CountsLayers.made += 1

    def forward(self, x: Tensor, ctx: AttentionContext = AttentionContext()) -> Tensor:
        return super().forward(x, ctx) / (1 + self.number)


class WarmsUpForTenPasses(GeluFeedForward):
    """Is scaled down in its first ten passes, which it counts outside its weights."""

    passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return super().forward(x) * min(1.0, 0.5 + self.passes / 20)


class KeepsAMeanOutsideItsState(RMSNorm):
    """Learns a scale in training, in a buffer that is not saved, and uses it in eval mode."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.register_buffer("scale", torch.ones(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.get_buffer("scale")
        if self.training:
            scale.mul_(0.99).add_(0.01 * x.detach().float().square().mean().to(scale))
        return super().forward(x) * scale.to(x.dtype)


class DrawsAProjectionThatIsNotSaved(GeluFeedForward):
    """Adds a random projection that is drawn when it is built and kept in a list."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.drawn = [torch.randn(dims.n_embd).tolist()]

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x * x.new_tensor(self.drawn[0])


class DrawsItsPhases(SinusoidalPosition):
    """Begins its waves at random phases, in a buffer that is not saved."""

    def __init__(self, dims: Dims) -> None:
        super().__init__(dims)
        self.table = self.table + torch.rand(dims.n_embd, device=self.table.device)


CAUGHT_BY: CaughtBy = {
    ReadsItsAddress: "forgets_earlier_modes",
    ReadsNumpysRandomState: "depends_on_its_input_alone",
    ReadsTorchsSeed: "dropout_keeps_the_mean",
    DrawsAndPutsBack: "depends_on_its_input_alone",
    ReadsTheDefaultDtype: "gradients_are_right",
    SharesAMean: "depends_on_its_input_alone",
    CountsLayers: "forgets_earlier_modes",
    WarmsUpForTenPasses: "forgets_earlier_modes",
    KeepsAMeanOutsideItsState: "forgets_earlier_modes",
    DrawsAProjectionThatIsNotSaved: "state_dict_round_trips",
    DrawsItsPhases: "state_dict_round_trips",
}
