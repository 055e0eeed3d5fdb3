"""`gptkit verify`: read every file of a run again and say what is damaged."""

import sys

from gptkit.cli.options import RunDirectory
from gptkit.cli.terminal import printable


def verify(run: RunDirectory) -> None:
    """Hash every checkpoint of a run again and say which are whole and what is damaged. Runs no plugin."""
    from gptkit.errors import CheckpointError
    from gptkit.storage.run_reader import RunFiles

    found = RunFiles(run).verify()
    for name, problems in found.items():
        print(printable(f"{name:<12} {'damaged' if problems else 'whole'}"))
    sys.stdout.flush()
    if problems := [problem for each in found.values() for problem in each]:
        raise CheckpointError("\n".join(problems))
