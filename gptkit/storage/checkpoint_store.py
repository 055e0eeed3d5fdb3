"""The checkpoints of a run: new ones moved into place, pointers at whole ones alone, old ones removed."""

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


class Checkpoints:
    """The directory of a run's checkpoints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, snapshot: Snapshot, *, best: bool, keep: int) -> None:
        """Save a checkpoint as the last one and, if it is, as the best; then remove those too old to keep.

        Args:
            keep: How many of the latest stay, besides the best.

        Raises:
            CheckpointError: If what was written is not what is read back.
            OSError: If it cannot be written. The pointers then point where they did.
        """
        new = self.folder / name_of(snapshot)
        with phase("save"):
            self.put(new, snapshot)
        with phase("point"):
            # The best first: whoever goes on from the last finds a best no older than it knows of.
            for pointer in (BEST, LAST) if best else (LAST,):
                replace_file(self.folder / pointer, f"{new.name}\n".encode())
        with phase("retain"):
            self.retain(keep)

    def put(self, new: Path, snapshot: Snapshot) -> None:
        """Write a checkpoint beside its place, move it there, and read it back."""
        if new.exists():
            if not Checkpoint(new).problems():
                return  # A run that goes on from an earlier checkpoint comes by here again, with the same bits.
            discard(new)
        beside = hidden(new)
        remove(beside)
        write(beside, snapshot)
        rename(beside, new)
        sync_directory(self.folder)
        if problems := Checkpoint(new).problems():
            raise CheckpointError("\n".join(problems))

    def retain(self, keep: int) -> None:
        """Remove all but the latest checkpoints and those that are pointed at, and what was left half done."""
        latest = self.names()[-keep:]
        pointed = [self.target(pointer) for pointer in (LAST, BEST)]
        for name in self.names():
            if name not in (*latest, *pointed):
                discard(self.folder / name)
        for left in sorted(self.folder.glob(".step-*")):
            remove(left)
        sync_directory(self.folder)

    def names(self) -> list[str]:
        """Return the names of all checkpoints, in the order of their steps."""
        found = [path.name for path in self.folder.iterdir() if NAME.fullmatch(path.name)]
        return sorted(found, key=lambda name: (int(name.split("-")[1]), not name.endswith(PENDING)))

    def target(self, pointer: str) -> str | None:
        """Return the name that a pointer names, or None if there is no pointer.

        Raises:
            CheckpointError: If it names no checkpoint that is there.
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
        """Return the checkpoint that `best`, `last` or a name such as `step-000100` means.

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
        """Return a sentence that names the whole checkpoints besides those that are wrong, or nothing."""
        whole = [
            name for name in self.names() if name not in wrong and not Checkpoint(self.folder / name).problems()
        ]
        return f". Whole are: {', '.join(whole)}" if whole else ""

    def problems(self) -> dict[str, list[str]]:
        """Return what is wrong with each checkpoint and each pointer; an empty list is one that is whole."""
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
    """Return the name beside a checkpoint under which it is no checkpoint."""
    return folder.with_name(f".{folder.name}")


def discard(folder: Path) -> None:
    """Remove a checkpoint, which stops being one before the first of its files is gone."""
    remove(hidden(folder))
    rename(folder, hidden(folder))
    remove(hidden(folder))
