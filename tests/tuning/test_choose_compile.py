import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import torch

from gptkit.errors import RecipeError, UsageError
from gptkit.recipe.check import check_recipe
from gptkit.recipe.read import read
from gptkit.registry.loader import Plugins
from gptkit.run.events import Chosen
from gptkit.run.loop import run
from gptkit.run.prepare import prepare
from gptkit.tuning import machine, trial_step as module
from gptkit.tuning.machine import Decision, check_compiler, lacking
from gptkit.tuning.trial_step import decide_compile
from tests.program import run_program
from tests.small import small_model, write_recipe

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(machine, "find_spec", lambda name: None)


@pytest.fixture
def all_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(machine, "find_spec", lambda name: name)


Choose = Callable[..., Decision[bool]]


@pytest.fixture
def choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Choose:
    """Return a function that decides for a run of some seconds, in which passes take the seconds given."""
    monkeypatch.setattr(torch, "compile", lambda model: model)

    def choose(
        whole: float, eager: Iterable[float], compiled: Iterable[float], wanted: str = "auto"
    ) -> Decision[bool]:
        plain, fast = iter([1.0, *eager]), iter(compiled)
        monkeypatch.setattr(module, "trial_step", lambda *given: next(fast if len(given) == 4 else plain))
        written = read(write_recipe(tmp_path), [f"train.compile={wanted}"])
        resolved = check_recipe(written, Plugins()).resolved
        return decide_compile(small_model(), resolved, CPU, "fp32", seconds_left=whole)

    return choose


@pytest.mark.parametrize("wanted", [True, False])
def test_what_the_recipe_says_is_done_without_trying(
    nothing_installed: None, choose: Choose, wanted: bool
) -> None:
    choice = choose(1e9, [], [], str(wanted).lower())
    assert (choice.value, choice.reason) == (wanted, "the recipe says so")


def test_auto_takes_what_is_faster_and_says_by_how_much(all_installed: None, choose: Choose) -> None:
    # The first time compiles, and is no pass like another.
    choice = choose(1e4, [5.0, 4.0, 4.0], [90.0, 2.0, 2.5, 2.0])
    assert (choice.value, choice.reason) == (True, "a pass takes 2 s compiled and 4 s as it is, measured")
    choice = choose(1e4, [4.0, 4.0, 4.0], [90.0, 5.0, 5.0, 5.0])
    assert (choice.value, choice.reason) == (False, "a pass takes 5 s compiled and 4 s as it is, measured")


def test_auto_takes_no_gain_that_may_be_chance(all_installed: None, choose: Choose) -> None:
    assert not choose(1e4, [4.1] * 3, [90.0, *[4.0] * 3]).value


def test_auto_says_so_where_compiling_fails(all_installed: None, choose: Choose) -> None:
    def fail() -> Iterator[float]:
        raise RuntimeError("no such thing\nand much more")
        yield

    choice = choose(1e4, [], fail())
    assert (choice.value, choice.reason) == (False, "compiling failed: RuntimeError: no such thing")


def test_auto_tries_the_pass_that_training_runs_with_its_graph(
    all_installed: None, choose: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UsageError("it cannot be recorded")

    monkeypatch.setattr(module, "compiled_pass", refuse)
    choice = choose(1e4, [], [])
    assert (choice.value, choice.reason) == (False, "compiling failed: UsageError: it cannot be recorded")


# In a process of its own, because the checker of shapes that tests run under does not go through torch.compile.
# Compiled by AOTAutograd without Inductor's C++, which is tested elsewhere and takes half a minute.
TRIED = """
import functools
import torch
torch.compile = functools.partial(torch.compile, backend="aot_eager")
from pathlib import Path
from gptkit.run.prepare import prepare, with_compile_decided
from gptkit.tuning import trial_step
from tests.small import write_recipe

trial_step.WORTH_SECONDS = 0
prepared = prepare(write_recipe(Path(FOLDER)), overrides=["train.compile=auto", "model.n_head=1"])
prepared, decision = with_compile_decided(prepared)
assert " s compiled and " in decision.reason, decision
assert prepared.resolved.train.compile is decision.value
"""


@pytest.mark.exhaustive
def test_auto_really_compiles_a_pass_and_times_it(tmp_path: Path) -> None:
    run_program(f"FOLDER = {str(tmp_path)!r}\n{TRIED}")


def test_auto_compiles_nothing_for_a_short_run(all_installed: None, choose: Choose) -> None:
    choice = choose(63.4, [], [])
    assert (choice.value, choice.reason) == (
        False,
        "all steps take about 0:01:03, and compiling takes minutes first",
    )


def test_auto_goes_on_without_a_compiler_and_says_what_is_missing(nothing_installed: None, choose: Choose) -> None:
    choice = choose(1e9, [], [])
    assert not choice.value
    assert choice.reason == "compiling for a CPU needs a C++ compiler, and there is none called g++ or clang++"


def test_a_compiler_may_have_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "c++-99")
    monkeypatch.setattr(shutil, "which", lambda name: "/c++-99" if name == "c++-99" else None)
    assert lacking(CPU) == ""
    monkeypatch.setenv("CXX", "c++-98")
    assert lacking(CPU).endswith("there is none called c++-98")


def test_what_cannot_be_compiled_here_is_refused_with_the_way_out(nothing_installed: None) -> None:
    with pytest.raises(ValueError, match=r"needs a C\+\+ compiler.* without .*: --set train.compile=false$"):
        check_compiler(True, CPU)
    with pytest.raises(ValueError, match="needs the package triton"):
        check_compiler(True, CUDA)
    check_compiler("auto", CPU)
    check_compiler(False, CPU)


def test_a_recipe_that_wants_it_is_refused_with_its_line(nothing_installed: None, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    with pytest.raises(RecipeError, match=r"^--set train.compile=true  train.compile  compiling for a CPU needs"):
        prepare(recipe, overrides=["train.compile=true"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_was_chosen_is_told_and_written_down(tmp_path: Path) -> None:
    options = ["train.compile=auto", "train.dtype=auto", "train.max_iters=2"]
    events = list(run(prepare(write_recipe(tmp_path), overrides=options, out=tmp_path / "run")))
    assert isinstance(events[1], Chosen)
    assert (events[1].setting, events[1].value) == ("compile", "false")
    again = prepare(tmp_path / "run" / "resolved.toml", out=tmp_path / "again")
    assert again.resolved.train.compile is False
    assert again.resolved.train.dtype in ("fp32", "bf16")
    assert again.dtype.reason == "the recipe says so"
