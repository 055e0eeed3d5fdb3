"""A program that interrupts `gptkit run` in each phase of a small run, and tells what came of it.

Run as `python -m tests.cli.interrupt DIRECTORY FAULTS…`; prints a report in JSON. Used by test_signals.py.
"""

import contextlib
import io
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

from gptkit.cli import main as gptkit
from gptkit.run import loop as run_module, session
from gptkit.run.prepare import prepare
from gptkit.storage import fault_injection as faults
from tests.crash import CRASHING, finish, in_child, recovered, result
from tests.small import TEXT, write_recipe


def called(recipe: Path, out: Path, fault: str) -> dict[str, Any]:
    """Call `gptkit run` with a fault; return its exit code and what it said."""
    os.environ[faults.VARIABLE] = fault
    faults.reached.clear()
    sys.argv = ["gptkit", "run", str(recipe), "--out", str(out)]
    told, code = io.StringIO(), None
    with contextlib.redirect_stdout(told):
        try:
            gptkit()
        except SystemExit as end:
            code = end.code
    return {"code": code, "told": told.getvalue().splitlines()[-1:], "is_there": out.exists()}


def main(directory: Path, faulty: list[str]) -> dict[str, Any]:
    """Return what came of each interruption, and the result of the run without any."""
    run_module.SAMPLE_TOKENS = 4
    session.to_png = lambda figure: b""  # type: ignore[attr-defined]
    recipe = write_recipe(directory, recipe=CRASHING.replace("max_iters = 4", "max_iters = 6"), text=TEXT[:600])
    finish(prepare(recipe, out=directory / "whole"))
    rows = []
    for fault in faulty:
        out = directory / fault
        ended, row = in_child(partial(called, recipe, out, fault))
        resumed, after = in_child(partial(recovered, out)) if out.exists() else (0, None)
        rows.append({"fault": fault, "ended": ended, **(row or {}), "resumed": resumed, "after": after})
    return {"whole": result(directory / "whole"), "rows": rows}


if __name__ == "__main__":
    signal.alarm(300)
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), sys.argv[2:])))
