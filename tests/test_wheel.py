"""A wheel, installed into a clean environment, works away from the repository."""

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TINY = "model.n_layer=1 model.n_head=2 model.n_embd=8 model.block_size=8 train.batch_size=2"
SHORT = "train.max_iters=2 train.schedule.warmup=0 train.dtype=fp32"
SET = [word for override in f"{TINY} {SHORT}".split() for word in ("--set", override)]

Run = Callable[..., str]


def run_in(directory: Path, *command: str | Path) -> str:
    """Run a command where no import path leads to the repository, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel of gptkit, built without a network."""
    directory = tmp_path_factory.mktemp("wheel")
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run_in(directory, sys.executable, "-m", "pip", "wheel", "-q", *offline, "-w", directory, ROOT)
    (file,) = directory.glob("gptkit-*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a function that runs a program of an environment that has the wheel, in an empty directory.

    The environment finds gptkit's dependencies through a path file. It does not see the repository: the path
    files beside the dependencies, one of which may name it, are not read.
    """
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=False, symlinks=True)
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run_in(environment, programs / "python", "-c", code).strip())
    dependencies = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "dependencies.pth").write_text("\n".join(dependencies))
    offline = ("--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check", "--force-reinstall")
    run_in(
        environment, programs / "python", "-m", "pip", "install", "-q", *offline, "--prefix", environment, wheel
    )
    empty = tmp_path_factory.mktemp("empty")
    return lambda program, *arguments: run_in(empty, programs / program, *arguments)


def test_a_wheel_says_that_it_is_typed_and_holds_each_recipe_with_its_plugins(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    recipes = {f"gptkit/recipes/{file.name}" for file in (ROOT / "recipes").glob("*.toml")}
    plugins = {f"gptkit/plugins/{file.name}" for file in (ROOT / "plugins").glob("*.py")}
    assert {"gptkit/py.typed", "gptkit/bench/plain_gpt.py"} | recipes | plugins <= names


@pytest.mark.exhaustive
def test_a_wheel_trains_and_checks_away_from_the_repository(installed: Run) -> None:
    program = "import gptkit, sys; print(gptkit.__file__, sys.prefix, gptkit.__version__, sep='\\n')"
    file, environment, version = installed("python", "-c", program).splitlines()
    assert Path(file).is_relative_to(environment)
    assert installed("gptkit", "--version") == f"gptkit {version}\n"
    listed = [line.split()[0] for line in installed("gptkit", "recipe", "list").splitlines()]
    assert listed == sorted(recipe.stem for recipe in (ROOT / "recipes").glob("*.toml"))
    told = installed("gptkit", "run", "gpt_tiny", *SET)
    assert told.startswith(f"recipe     {Path(file).parent / 'recipes' / 'gpt_tiny.toml'} --set ")
    assert "best validation loss" in told


@pytest.mark.exhaustive
def test_a_wheel_proves_a_part_and_checks_every_recipe(installed: Run) -> None:
    few = [word for check in ("is_finite", "never_reads_the_future") for word in ("--only", check)]
    assert "2 held, 0 broken" in installed("gptkit", "check", "sdpa", *few)
    names = sorted(recipe.stem for recipe in (ROOT / "recipes").glob("*.toml"))
    # In one process, because each spends seconds on importing PyTorch.
    program = f"import sys; from gptkit.cli import app\nfor name in {names}: "
    program += "app(['recipe', 'check', name], standalone_mode=False)"
    told = installed("python", "-c", program).splitlines()
    assert len(told) == len(names)
    assert all(line.endswith("nothing wrong") for line in told)
