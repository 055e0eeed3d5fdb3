import subprocess
import time
from pathlib import Path

import pytest

from gptkit.bench import startup
from gptkit.bench.clock import Rounds
from gptkit.bench.startup import run_python, run_until_first_step, time_startup


def test_a_process_is_waited_for_until_its_first_step_and_no_longer(tmp_path: Path) -> None:
    began = time.perf_counter()
    program = "import time; print('steps 9'); print('step      1  loss 4.2', flush=True); time.sleep(60)"
    run_until_first_step(("-c", program), tmp_path)
    assert time.perf_counter() - began < 30


def test_a_process_that_ends_without_a_step_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        run_until_first_step(("-c", "print('steps 9'); raise SystemExit(3)"), tmp_path)
    assert (error.value.returncode, error.value.output) == (3, "steps 9\n")


def test_a_process_that_fails_is_an_error(tmp_path: Path) -> None:
    run_python(("-c", "import gptkit"), tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        run_python(("-c", "import no_such_module"), tmp_path)


def test_each_way_to_begin_is_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def note(arguments: tuple[str, ...], directory: Path) -> None:
        asked.append(arguments)
        if "run" in arguments:
            assert (directory / "tiny.toml").is_file()
            assert not (directory / arguments[-1]).exists()
            (directory / arguments[-1]).mkdir()

    monkeypatch.setattr(startup, "run_python", note)
    monkeypatch.setattr(startup, "run_until_first_step", note)
    rows = time_startup(Rounds(repeats=2))
    assert [row.name for row in rows] == [
        "gptkit --help",
        "import gptkit",
        "import torch",
        "gptkit run, to the first step",
    ]
    assert [len(row.seconds) for row in rows] == [2, 2, 2, 2]
    first = asked[:4]
    assert first[:3] == [("-m", "gptkit", "--help"), ("-c", "import gptkit"), ("-c", "import torch")]
    assert first[3][:4] == ("-m", "gptkit", "run", "tiny.toml")
    assert "train.max_iters=1" in first[3]
