"""What holds for every verb."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import gptkit

Gptkit = Callable[..., Any]


def test_help_answers_without_torch() -> None:
    program = (
        "import sys; sys.argv = ['gptkit', '--help']\n"
        "from gptkit.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for verb in ("run", "sample", "components", "plugins", "recipe"):
        assert verb in told.stdout


def test_version_answers_without_torch() -> None:
    program = (
        "import sys; sys.argv = ['gptkit', '--version']\n"
        "from gptkit.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == f"gptkit {gptkit.__version__}\n"


def test_python_m_gptkit_is_gptkit() -> None:
    told = subprocess.run([sys.executable, "-m", "gptkit", "--help"], capture_output=True, text=True, check=True)
    assert "Assemble a GPT" in told.stdout


@pytest.mark.parametrize("arguments", [["fly"], ["run"], ["run", "small.toml", "--fly"], ["recipe", "fly"]])
def test_wrong_usage_exits_2(gptkit: Gptkit, arguments: list[str]) -> None:
    outcome = gptkit(*arguments)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
