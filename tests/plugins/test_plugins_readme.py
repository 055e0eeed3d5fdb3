"""What plugins/README.md says to type, typed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.exhaustive

ROOT = Path(__file__).parents[2]
README = (ROOT / "plugins/README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PLUGIN, TEST = (text for language, text in BLOCKS if language == "python")
COMMANDS = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
SMALL = "--set model.n_embd=48 --set model.block_size=32"
SHORT = f"{SMALL} --set train.max_iters=2 --set train.eval_interval=0 --set train.schedule.warmup=1"
# All of them take half a minute; those that compile are tried where the built-in parts are.
FEW = " ".join(
    f"--only {check}"
    for check in (
        "gradients_are_right",
        "never_reads_the_future",
        "cache_changes_nothing",
        "equals_reference_in_bfloat16",
        "decoding_compiles_once",
    )
)
# What makes a command quick, and what it prints if it did its work.
HOW = {
    "gptkit check mine.py": (FEW, "7 held, 0 broken"),
    "pytest benchmarks": ("-n0 --benchmark-disable -k 'mine and forward and 64x6x256x64' -q", "2 passed"),
    "gptkit run recipes/gpt_tiny.toml": (SHORT, "best validation loss"),
    "gptkit check sliding_window": ("--only cache_changes_nothing --only equals_reference_in_float32", "2 held"),
    "gptkit run recipes/mixed.toml": (SHORT, "best validation loss"),
}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory that looks like the repository, with the reader's file in it."""
    directory = tmp_path_factory.mktemp("workshop")
    for name in ("benchmarks", "plugins", "recipes", "pyproject.toml"):
        (directory / name).symlink_to(ROOT / name)
    (directory / "mine.py").write_text(PLUGIN)
    (directory / "test_mine.py").write_text(TEST)
    return directory


def typed(command: str, directory: Path) -> str:
    """Return what a command prints."""
    # Those of the environment that the tests run in.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        shlex.split(command),
        cwd=directory,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_command_is_typed_below() -> None:
    assert [next((start for start in HOW if command.startswith(start)), command) for command in COMMANDS] == list(
        HOW
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_its_work(command: str, workshop: Path) -> None:
    quick, told = next(how for start, how in HOW.items() if command.startswith(start))
    assert told in typed(f"{command} {quick}", workshop)


def test_the_one_line_is_a_test(workshop: Path) -> None:
    assert "1 passed" in typed(
        "pytest -n0 -p no:cacheprovider -q test_mine.py -k never_reads_the_future", workshop
    )


def test_the_mistake_it_describes_is_told_as_it_shows(workshop: Path) -> None:
    (shown,) = [text for language, text in BLOCKS if language == "text" and "broken" in text]
    wrong = "torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()"
    assert wrong in README
    (workshop / "wrong").mkdir()
    (workshop / "wrong/mine.py").write_text(PLUGIN.replace("causal_mask(q, k)", wrong))
    command = [str(Path(sys.executable).parent / "gptkit"), "check", "mine.py", "--only", "sees_up_to_itself"]
    done = subprocess.run(command, cwd=workshop / "wrong", capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert shown in done.stdout.replace(f"{workshop}/wrong/", "")


@pytest.mark.parametrize("name", re.findall(r"^\| `(.*?)` \|", README, re.MULTILINE))
def test_every_example_it_names_is_there(name: str) -> None:
    assert (ROOT / "plugins" / name).exists()


def test_every_example_there_is_it_names() -> None:
    found = {
        path.name
        for path in (ROOT / "plugins").iterdir()
        if path.suffix == ".py" or path.name.startswith("gptkit")
    }
    assert found == {name.rstrip("/") for name in re.findall(r"^\| `(.*?)` \|", README, re.MULTILINE)}
