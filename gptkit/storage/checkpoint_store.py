"""The checkpoints of a run: saves new ones, points `last` and `best` at complete ones, removes old ones."""

import re
from collections.abc import Sequence
from pathlib import Path

from gptkit.errors import CheckpointError
from gptkit.storage.checkpoint import Checkpoint, write
from gptkit.storage.fault_injection import phase
from gptkit.storage.safe_read import read_bytes
from gptkit.storage.safe_write import remove, rename, replace_file, sync_directory
from gptkit.storage.snapshot import Snapshot

# Ends the name of a checkpoint saved before its step's evaluation or sample was done; -owed in runs of 0.1.
PENDING = ("-eval-pending", "-owed")
NAME = re.compile(rf"step-(\d{{6,12}})({'|'.join(PENDING)})?")
LAST, BEST = "last", "best"


class CheckpointStore:
    """The directory of a run's checkpoints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, snapshot: Snapshot, *, best: bool, keep: int) -> None:
        """Save a checkpoint as `last`, and as `best` if it is; then remove old ones.

        Args:
            keep: Number of the latest checkpoints to keep, besides the best.

        Raises:
            CheckpointError: If what is read back differs from what was written.
            OSError: If it cannot be written. The pointers stay as they were.
        """
        new = self.folder / name_of(snapshot)
        with phase("save"):
            self.put(new, snapshot)
        with phase("point"):
            # Write `best` before `last`: a resumed run must not see an older best.
            for pointer in (BEST, LAST) if best else (LAST,):
                replace_file(self.folder / pointer, f"{new.name}\n".encode())
        with phase("retain"):
            self.retain(keep)

    def put(self, new: Path, snapshot: Snapshot) -> None:
        """Write a checkpoint under a hidden name, rename it, and read it back."""
        if new.exists():
            if not Checkpoint(new).problems():
                return  # A run resumed from an earlier checkpoint saves the same bits again.
            discard(new)
        beside = hidden(new)
        remove(beside)
        write(beside, snapshot)
        rename(beside, new)
        sync_directory(self.folder)
        if problems := Checkpoint(new).problems():
            raise CheckpointError("\n".join(problems))

    def retain(self, keep: int) -> None:
        """Remove incomplete checkpoints, and all but the latest and those that a pointer names."""
        latest = self.names()[-keep:]
        pointed = [self.target(pointer) for pointer in (LAST, BEST)]
        for name in self.names():
            if name not in (*latest, *pointed):
                discard(self.folder / name)
        for left in sorted(self.folder.glob(".step-*")):
            remove(left)
        sync_directory(self.folder)

    def names(self) -> list[str]:
        """Return the names of all checkpoints, in order of their steps."""
        found = [path.name for path in self.folder.iterdir() if NAME.fullmatch(path.name)]
        return sorted(found, key=lambda name: (int(name.split("-")[1]), not name.endswith(PENDING)))

    def target(self, pointer: str) -> str | None:
        """Return the name of the checkpoint that a pointer names, or None if there is no such pointer.

        Raises:
            CheckpointError: If that checkpoint does not exist.
        """
        file = self.folder / pointer
        if not file.exists() and not file.is_symlink():
            return None
        name = read_bytes(file).decode("utf-8", errors="replace").strip()
        if not NAME.fullmatch(name):
            raise CheckpointError(f"{file} points at {name!r}, expected a checkpoint such as step-000100")
        if (self.folder / name).is_symlink() or not (self.folder / name).is_dir():
            raise CheckpointError(f"{file} points at {name}, which is not there{self.others([name])}")
        return name

    def get(self, asked: str) -> Checkpoint:
        """Return the checkpoint called `best`, `last` or a name such as `step-000100`.

        Raises:
            CheckpointError: If there is none.
        """
        if NAME.fullmatch(asked):
            name = asked if asked in self.names() else None
        else:
            name = self.target(asked) if asked in (BEST, LAST) else None
        if name is None:
            reason = ": its run was stopped before it saved one" if asked in (BEST, LAST) else ""
            raise CheckpointError(
                f"{self.folder.parent} has no checkpoint '{asked}'{reason}{self.others([asked])}"
            )
        return Checkpoint(self.folder / name)

    def others(self, wrong: Sequence[str]) -> str:
        """Return a sentence that names the intact checkpoints other than `wrong`, or an empty string."""
        whole = [
            name for name in self.names() if name not in wrong and not Checkpoint(self.folder / name).problems()
        ]
        return f". Whole are: {', '.join(whole)}" if whole else ""

    def problems(self) -> dict[str, list[str]]:
        """Return the problems of each checkpoint, empty if it is intact, and of each broken pointer."""
        found = {name: Checkpoint(self.folder / name).problems() for name in self.names()}
        for pointer in (BEST, LAST):
            try:
                self.target(pointer)
            except CheckpointError as error:
                found[pointer] = [str(error)]
        return found


def name_of(snapshot: Snapshot) -> str:
    """Return the name of a checkpoint."""
    return f"step-{snapshot.step:06d}{PENDING[0] if snapshot.state.get('eval_pending') else ''}"


def hidden(folder: Path) -> Path:
    """Return the name of a checkpoint that is being written or removed."""
    return folder.with_name(f".{folder.name}")


def discard(folder: Path) -> None:
    """Remove a checkpoint; it is renamed first, so that no incomplete one keeps the name."""
    remove(hidden(folder))
    rename(folder, hidden(folder))
    remove(hidden(folder))
