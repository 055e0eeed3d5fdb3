"""A program that makes a small run fail at every place there is, and tells what came of it. Used by test_crash.py.

Each run is a child of one process that has everything loaded and its model built, so that it takes a tenth of a
second and yet dies a real death. Run as `python -m tests.crash DIRECTORY ACTION@PLACE…`; prints a report in JSON.
"""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from gptkit.errors import CheckpointError, UsageError
from gptkit.run import loop as run_module, resume as resume_module, session
from gptkit.run.prepare import prepare
from gptkit.run.resume import prepare_resume
from gptkit.storage import fault_injection as faults
from gptkit.storage.run_writer import RunWriter
from tests.small import RECIPE, TEXT, write_recipe

CRASHING = (
    RECIPE.replace("n_layer = 1", "n_layer = 2")
    .replace("max_iters = 12", "max_iters = 4\nkeep = 1")
    .replace("eval_interval = 5", "eval_interval = 2")
    .replace("log_interval = 2", "log_interval = 1")
    .replace("checkpoint_interval = 4", "checkpoint_interval = 2")
    .replace('"adamw"', '"muon"')
)


def result(root: Path) -> dict[str, str]:
    """Return hashes of all that a run ends with."""
    last = RunWriter(root).checkpoints.get("last").folder
    rows = [{**row, "tokens_per_second": 0} for row in RunWriter(root).metrics.rows()]
    contents = {
        "weights": (last / "model.safetensors").read_bytes(),
        "optimizer": (last / "optimizer.safetensors").read_bytes(),
        "state": (last / "state.json").read_bytes(),
        "metrics": json.dumps(rows).encode(),
        "sample": max((root / "samples").iterdir()).read_bytes(),
    }
    return {name: hashlib.sha256(content).hexdigest()[:16] for name, content in contents.items()}


def finish(prepared: Any) -> None:
    """Run to the end."""
    for _ in run_module.run(prepared):
        pass


def in_child(job: Callable[[], Any]) -> tuple[int, Any]:
    """Do a job in a process of its own; return how that ended, and what the job returned."""
    readable, writable = os.pipe()
    if not (child := os.fork()):
        code = 1
        try:
            os.close(readable)
            os.write(writable, json.dumps(job()).encode())
            code = 0
        except CheckpointError as error:
            os.write(writable, json.dumps(str(error)).encode())
            code = error.exit_code
        finally:
            os._exit(code)
    os.close(writable)
    with os.fdopen(readable, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), json.loads(told) if told else None


def counted(prepared: Any) -> dict[str, Any]:
    """Run to the end; return the result and how often each place was reached."""
    finish(prepared)
    return {"result": result(prepared.out), "reached": dict(faults.reached)}


def recovered(root: Path) -> dict[str, Any]:
    """Look a broken run over, go on with it, and return what was wrong and the result."""
    problems = [problem for each in RunWriter(root).verify().values() for problem in each]
    with suppress(UsageError):  # It may have failed after its last step was saved.
        finish(prepare_resume(root))
    left = sorted(path.name for path in (root / "checkpoints").iterdir())
    return {"problems": problems, "result": result(root), "left": left}


def main(directory: Path, faulty: list[str]) -> dict[str, Any]:
    """Return what came of each action at each arrival at its place, and of the run without any."""
    run_module.SAMPLE_TOKENS = 4
    session.to_png = lambda figure: b""  # type: ignore[attr-defined]
    # Prepared once, before the processes are forked.
    prepared = prepare(write_recipe(directory, recipe=CRASHING, text=TEXT[:600]))
    code, whole = in_child(lambda: counted(replace(prepared, out=directory / "whole")))
    assert code == 0, whole
    # Loading the same parts anew each time would take a third of it all.
    vars(resume_module)["Plugins"] = lambda files: prepared.plugins
    rows = []
    for fault in faulty:
        for number in range(1, whole["reached"][fault.partition("@")[2]] + 1):
            out = directory / f"{fault}-{number}"

            def broken(out: Path = out, fault: str = f"{fault}:{number}") -> None:
                os.environ[faults.VARIABLE] = fault
                finish(replace(prepared, out=out))

            ended, told = in_child(broken)
            resumed, after = in_child(partial(recovered, out))
            rows.append(
                {"fault": f"{fault}:{number}", "ended": ended, "told": told, "resumed": resumed, "after": after}
            )
    return {"whole": whole, "rows": rows}


if __name__ == "__main__":
    signal.alarm(300)
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), sys.argv[2:])))
