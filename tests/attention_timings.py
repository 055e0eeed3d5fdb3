"""A clock that only attentions move, so that a test says how long each takes; and strangers to choose or not."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from gptkit.nn import SoftmaxAttention
from gptkit.testing.subject import registered
from gptkit.tuning.attention_timing import Candidate, failed_proofs
from gptkit.tuning.timing_conditions import TimingConditions
from tests.small import RECIPE, write_recipe

AUTO = RECIPE.replace("dropout = 0.1", 'dropout = 0.1\nattention = "auto"')

# Each takes no time at all on the clock of these tests: whoever is not refused is chosen.
STRANGERS = '''
import torch

import gptkit
from gptkit.nn import SoftmaxAttention, causal_mask
from gptkit.interfaces import AttentionContext, HasTolerance, Tolerance


class Good(SoftmaxAttention):
    """Right."""

    def attend(self, q, k, v, attn_mask=None):
        attn_mask = torch.atleast_2d(causal_mask(q, k) if attn_mask is None else attn_mask)
        dropout = self.dropout if self.training else 0.0
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask, dropout_p=dropout)


class Wrong(Good):
    """Weighs nothing."""

    def attend(self, q, k, v, attn_mask=None):
        return v + 0 * q


class WrongWhole(Good):
    """Right in `attend` and wrong around it."""

    def forward(self, x, ctx=AttentionContext()):
        return 2 * super().forward(x, ctx)


class NeverDrops(Good):
    """Right, but for dropout."""

    def attend(self, q, k, v, attn_mask=None):
        self.attn_dropout.p = 0.0
        return super().attend(q, k, v, attn_mask)


class Declares(Good, HasTolerance):
    """Declares a tolerance."""

    tolerance = Tolerance(cached=0.01)


class NoDropout(Good):
    """Refuses dropout where it is built."""

    def __init__(self, dims, *, qkv_bias: bool = False, out_bias: bool = True):
        super().__init__(dims, qkv_bias=qkv_bias, out_bias=out_bias)
        if dims.dropout:
            raise ValueError("it has no dropout")


class NoTraining(Good):
    """Refuses to train."""

    def attend(self, q, k, v, attn_mask=None):
        if self.training and q.shape[0] > 1:
            raise NotImplementedError("it is for inference")
        return super().attend(q, k, v, attn_mask)


class Tires(Good):
    """Fails in its third pass of training."""

    passes = 0

    def attend(self, q, k, v, attn_mask=None):
        if self.training and q.shape[0] > 1:
            Tires.passes += 1
        if Tires.passes > 2:
            raise RuntimeError("it is tired")
        return super().attend(q, k, v, attn_mask)


class Leaves(Good):
    """Ends the process."""

    def attend(self, q, k, v, attn_mask=None):
        raise SystemExit(3)


class Poor(Good):
    """Has no options."""

    def __init__(self, dims):
        super().__init__(dims)


PARTS = {
    "declares": Declares,
    "good": Good,
    "tires": Tires,
    "wrong": Wrong,
    "wrong_whole": WrongWhole,
    "never_drops": NeverDrops,
    "no_dropout": NoDropout,
    "no_training": NoTraining,
    "leaves": Leaves,
    "poor": Poor,
}


@gptkit.hookimpl
def gptkit_register(register):
    for name in NAMES:
        register(name, PARTS[name])
'''


# The proofs of the built-in attentions, which are the same in every test.
PROOFS: dict[str, list[str | None]] = {}


def proofs(candidate: Candidate, conditions: TimingConditions) -> Iterator[str | None]:
    """Prove a built-in attention once for all tests, and any other each time."""
    if not candidate.part.__module__.startswith("gptkit."):
        yield from failed_proofs(candidate, conditions)
        return
    key = repr((candidate.part, candidate.options, conditions))
    if key not in PROOFS:
        PROOFS[key] = list(failed_proofs(candidate, conditions))
    yield from PROOFS[key]


class Costs:
    """What each built-in attention costs on a clock that nothing else moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, costs: Mapping[str, float]) -> None:
        self.now, self.costs = 0.0, dict(costs)
        for name, part in registered(SoftmaxAttention).items():
            if name in costs:
                monkeypatch.setattr(part, "attend", self.costly(name, part.attend))
        monkeypatch.setattr("gptkit.tuning.attention_timing.clock", lambda device: self.now)
        monkeypatch.setattr("gptkit.tuning.attention_timing.failed_proofs", proofs)

    def costly(self, name: str, attend: Any) -> Any:
        """Return an `attend` that moves the clock."""

        def costly_attend(part: Any, *given: Any) -> torch.Tensor:
            self.now += self.costs[name]
            return attend(part, *given)

        return costly_attend


def time_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let attentions and precisions be timed on a few tokens: at `gpt_small`'s sizes that takes half a minute."""
    monkeypatch.setattr("gptkit.tuning.timing_conditions.CPU_POSITIONS", 16)
    monkeypatch.setattr("gptkit.tuning.machine.FEW_TOKENS", 16)
    monkeypatch.setattr("gptkit.tuning.machine.MEASURED_TOKENS", 16)


def write_strangers(directory: Path, *names: str) -> Path:
    """Write a plugin file that offers some of the strangers."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "strangers.py"
    file.write_text(STRANGERS.replace("in NAMES", f"in {names!r}"))
    return file


def write_auto(directory: Path, recipe: str = AUTO) -> Path:
    """Write a small recipe that says `auto`."""
    return write_recipe(directory, recipe=recipe)
