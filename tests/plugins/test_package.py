"""The worked package, installed by pip into an environment of its own."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli

from gptkit.registry.scaffold import Draft

pytestmark = pytest.mark.exhaustive

PACKAGE = Path(__file__).parents[2] / "plugins/gptkit-dyt"
SMALL = {
    "model.n_layer": 1,
    "model.n_head": 1,
    "model.n_embd": 8,
    "model.block_size": 8,
    "train.max_iters": 2,
    "train.schedule.warmup": 0,
    "data.corpus": '{ use = "text", path = "gptkit-dyt/README.md" }',
}
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", ".*_cache", "dist")

Python = Callable[..., str]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Python:
    """Return a function that runs Python where a copy of the package is installed, beside all that is here."""
    home = tmp_path_factory.mktemp("package")
    shutil.copytree(PACKAGE, home / PACKAGE.name, ignore=LEFT_BEHIND)
    # Without pip of its own, which takes seconds to install: it sees the one that is here.
    venv.create(home / "venv", with_pip=False, symlinks=os.name != "nt")
    base = {"base": str(home / "venv"), "platbase": str(home / "venv")}
    here = sysconfig.get_path("purelib")
    # Not the path alone: gptkit itself may be installed by a .pth file, which only `addsitedir` reads.
    see_all = f"import site; site.addsitedir({here!r})\n"
    Path(sysconfig.get_path("purelib", "venv", base), "here.pth").write_text(see_all, encoding="utf-8")
    interpreter = Path(sysconfig.get_path("scripts", "venv", base), Path(sys.executable).name)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [interpreter, *arguments],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", f"./{PACKAGE.name}")
    return run


def test_gptkit_finds_it_with_its_version_and_entry_point(python: Python) -> None:
    told = python("-m", "gptkit", "plugins").splitlines()
    assert "dyt 0.1.0 (entry point gptkit_dyt) offers norm dyt" in told


def test_its_recipe_trains(python: Python) -> None:
    small = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    told = python("-m", "gptkit", "run", "gptkit-dyt/dyt.toml", *small, "--out", "done")
    assert "dyt 0.1.0 (entry point gptkit_dyt)" in told
    assert "step      2" in told


def test_its_own_test_passes(python: Python) -> None:
    # Two checks of thirty; test_contract.py tries them all.
    few = ("-k", "is_finite or keeps_its_input")
    told = python("-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", *few, "gptkit-dyt")
    assert re.search(r"^2 passed, \d\d deselected", told, re.MULTILINE), told


def test_it_is_laid_out_as_gptkit_new_lays_out_a_package() -> None:
    drafted = Draft("norm", "dyt").package()
    cached = {"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache"}
    files = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file()]
    assert sorted(path.as_posix() for path in files if not cached & set(path.parts)) == sorted(drafted)
    for name in ("tests/test_contract.py", "dyt.toml"):
        assert (PACKAGE / name).read_text(encoding="utf-8") == drafted[name]
    ours, theirs = (
        tomli.loads(text)
        for text in ((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"), drafted["pyproject.toml"])
    )
    for project in (ours, theirs):
        del project["project"]["description"]
    assert ours == theirs
