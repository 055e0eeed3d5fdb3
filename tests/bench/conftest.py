"""A workload small enough to be timed in a moment."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gptkit.bench.workload import prepare_workload
from gptkit.run.prepare import PreparedRun
from tests.small import RECIPE, write_recipe

SmallWorkload = Callable[..., PreparedRun]


@pytest.fixture
def small_workload(tmp_path: Path) -> SmallWorkload:
    """Return a function that returns the small recipe's workload, with overrides."""

    def make(*overrides: str) -> PreparedRun:
        return prepare_workload(write_recipe(tmp_path, recipe=RECIPE), overrides=overrides, characters=2000)

    return make


@pytest.fixture(autouse=True)
def nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what is compiled: the shape checker that tests run under cannot be compiled."""
    monkeypatch.setattr("gptkit.bench.decoding.lacking", lambda device: "the checker cannot be compiled")
