"""`gptkit verify`: compares every file of a run with its recorded hash."""

import sys

from gptkit.cli.options import RunDirectory
from gptkit.cli.terminal import printable
from gptkit.errors import CheckpointError


def verify(run: RunDirectory) -> None:
    """Compare every file of a run's checkpoints with its hash. Runs no plugin."""
    from gptkit.storage.run_reader import RunReader

    found = RunReader(run).verify()
    for name, problems in found.items():
        print(printable(f"{name:<12} {'damaged' if problems else 'whole'}"))
    sys.stdout.flush()
    if problems := [problem for each in found.values() for problem in each]:
        raise CheckpointError("\n".join(problems))
