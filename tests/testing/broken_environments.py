"""Parts that read or keep what is neither an argument nor a weight: clock, process, random state, environment."""

import datetime
import os

from torch import Tensor

from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.norm.rmsnorm import RMSNorm
from gptkit.components.position.learned import LearnedPosition
from tests.testing.mutant import CaughtBy

StartPos = int | Tensor


class ReadsTheDate(LayerNorm):
    """Scales by the day of the month."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + datetime.datetime.now(tz=datetime.UTC).day / 31)


class ReadsItsParent(RMSNorm):
    """Scales by the number of the parent process."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + os.getppid() % 5)


class ReadsTheHashSeed(LearnedPosition):
    """Scales by the hash of a text, which is another in each process."""

    def embed(self, x: Tensor, start_pos: StartPos) -> Tensor:
        return super().embed(x, start_pos) * (1 + hash("position") % 10_007)


CAUGHT_BY: CaughtBy = {
    ReadsTheDate: "depends_on_its_input_alone",
    ReadsItsParent: "depends_on_its_input_alone",
    ReadsTheHashSeed: "is_the_same_in_another_process",
}
