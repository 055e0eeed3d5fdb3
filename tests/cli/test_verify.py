"""`gptkit verify` and `gptkit resume`, as they are typed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Gptkit = Callable[..., Any]


@pytest.fixture
def run(gptkit: Gptkit) -> Path:
    assert gptkit("run", "small.toml", "--out", "mine").code == 0
    return Path("mine")


def test_a_whole_run_is_said_to_be(gptkit: Gptkit, run: Path) -> None:
    outcome = gptkit("verify", "mine")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "origin.json  whole\nstep-000002  whole\nstep-000004  whole\n"


def test_damage_is_named_and_exits_4(gptkit: Gptkit, run: Path) -> None:
    file = run / "checkpoints" / "step-000002" / "model.safetensors"
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-1])
    outcome = gptkit("verify", "mine")
    assert outcome.code == 4
    assert outcome.out == "origin.json  whole\nstep-000002  damaged\nstep-000004  whole\n"
    assert outcome.err == f"{file} is damaged: it has {size - 1:,} bytes, and its manifest says {size:,}\n"


def test_what_is_no_run_directory_exits_4(gptkit: Gptkit) -> None:
    outcome = gptkit("verify", "nowhere")
    assert (outcome.code, outcome.err) == (4, "nowhere: no such run directory\n")


def test_a_run_goes_on_and_says_from_where(gptkit: Gptkit, run: Path) -> None:
    outcome = gptkit("resume", "mine", "--set", "train.max_iters=6")
    assert outcome.code == 0, outcome.err
    assert "\nresumes    from step-000004\n" in outcome.out
    assert "\nstep      6  train " in outcome.out


def test_a_run_that_is_done_exits_2(gptkit: Gptkit, run: Path) -> None:
    outcome = gptkit("resume", "mine")
    assert (outcome.code, outcome.err) == (
        2,
        "mine has taken all its 4 steps. To go on: --set train.max_iters=8\n",
    )


def test_a_number_that_is_not_finite_exits_5(gptkit: Gptkit) -> None:
    outcome = gptkit("run", "small.toml", "--set", "train.optimizer.learning_rate=1e38", "--out", "mine")
    assert outcome.code == 5
    assert "not finite" in outcome.err.lower()
    assert len(outcome.err.splitlines()) == 1


FAILING = """
import gptkit
from gptkit.components.norm.rmsnorm import RMSNorm

class LateNorm(RMSNorm):
    calls = 0

    def forward(self, x):
        if self.training:
            LateNorm.calls += 1
        if LateNorm.calls == 3 * 5 + 1:
            raise RuntimeError("out of luck")
        return super().forward(x)

@gptkit.hookimpl
def gptkit_register(register):
    register("late", LateNorm)
"""


def test_a_part_that_fails_at_a_step_is_named_with_its_key_and_what_was_reached_is_saved(
    gptkit: Gptkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An estimate that an earlier session left would leave out a pass.
    monkeypatch.setenv("GPTKIT_CACHE", str(Path("cache").resolve()))
    Path("late.py").write_text(FAILING)
    outcome = gptkit("run", "small.toml", "--plugin", "late.py", "--set", "model.norm=late", "--out", "mine")
    assert outcome.code == 1
    # A pass has three norms; the first gives the estimate, and the second is the dry step's. Step 2 was saved as
    # the best so far; step 3 is, now.
    assert outcome.err.startswith("step 4: model.norm: norm 'late' of late.py fails at ")
    assert outcome.err.endswith("late.py:12: RuntimeError: out of luck; saved after step 3\n")
    assert Path("mine/checkpoints/last").read_text() == "step-000003\n"
    assert gptkit("verify", "mine").code == 0
