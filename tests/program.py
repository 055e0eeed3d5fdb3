"""Runs a test's program in a process of its own, where nothing checks annotations."""

import os
import subprocess
import sys
from pathlib import Path

import gptkit


def run_program(program: str) -> str:
    """Run a program and return what it prints; fail with what it says if it fails."""
    root = Path(gptkit.__file__).parents[1]
    paths = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": paths},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
