"""Writes a run directory: creates and locks it, saves checkpoints, samples and loss curves."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomli_w

from gptkit.errors import CheckpointError, UsageError
from gptkit.storage.background_saver import BackgroundSaver
from gptkit.storage.checkpoint import to_json
from gptkit.storage.fault_injection import phase
from gptkit.storage.file_lock import Lock
from gptkit.storage.run_reader import (
    CHECKPOINTS,
    ENVIRONMENT,
    LOCK,
    LOSS,
    METRICS,
    ORIGIN,
    PLUGINS,
    RECIPE,
    RESOLVED,
    SAMPLES,
    TOKENIZER,
    RunReader,
)
from gptkit.storage.safe_read import digest
from gptkit.storage.safe_write import remove, replace_file, sync_directory, write_file
from gptkit.storage.snapshot import Snapshot


class RunWriter(RunReader):
    """The directory of one run, new or old, opened by the one process that writes it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.saver = BackgroundSaver()
        self._lock: Lock | None = None

    @classmethod
    def check_free(cls, root: Path) -> None:
        """Raise UsageError unless the directory is empty or does not exist."""
        if root.exists() and (not root.is_dir() or any(path.name != LOCK for path in root.iterdir())):
            raise UsageError(f"{root} has something in it: a run starts in a new or an empty directory")

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        recipe: str,
        document: Mapping[str, Any],
        plugins: Sequence[Path],
        tokenizer: Mapping[str, Any],
        origin: Mapping[str, Any],
        environment: Mapping[str, Any],
    ) -> "RunWriter":
        """Create, lock and return a new run directory with everything known before the first step.

        Args:
            recipe: The recipe's text, as the user wrote it.
            document: The resolved recipe.
            plugins: The plugin files to copy.
            tokenizer: The JSON of the tokenizer.
            origin: What must be unchanged when the run is resumed.

        Raises:
            UsageError: If it is not empty, or another process writes there.
        """
        cls.check_free(root)
        run, is_new = cls(root), not root.exists()
        root.mkdir(parents=True, exist_ok=True)
        run.lock()
        try:
            # Again, because another process may have written here before we had the lock.
            cls.check_free(root)
            with phase("setup"):
                for name in (SAMPLES, CHECKPOINTS):
                    (root / name).mkdir()
                copies = [run.copy_plugin(file, i) for i, file in enumerate(plugins)]
                write_file(root / RECIPE, recipe.encode())
                write_file(root / ENVIRONMENT, to_json(environment))
                write_file(root / TOKENIZER, to_json(tokenizer))
                hashes = {name: digest(root / name)[1] for name in (TOKENIZER, *copies)}
                write_file(root / ORIGIN, to_json({**origin, "files": hashes}))
                write_file(root / METRICS, b"")
                # Last, because without it this is no run directory.
                named = {"plugins": copies} if copies else {}
                write_file(root / RESOLVED, tomli_w.dumps({**named, **document}).encode())
                for folder in (root / PLUGINS, root) if copies else (root,):
                    sync_directory(folder)
        except BaseException:
            for path in root.iterdir():
                if path.name != LOCK:
                    remove(path)
            run.close()
            if is_new:
                root.rmdir()
            raise
        return run

    def copy_plugin(self, file: Path, i: int) -> str:
        """Copy a plugin file and return its name relative to the directory."""
        (self.root / PLUGINS).mkdir(exist_ok=True)
        copy = self.root / PLUGINS / file.name
        if copy.exists():
            copy = copy.with_name(f"{file.stem}_{i}{file.suffix}")
        write_file(copy, file.read_bytes())
        return copy.relative_to(self.root).as_posix()

    def lock(self) -> None:
        """Lock the directory for this process.

        Raises:
            UsageError: If another process holds the lock; names it.
        """
        self._lock = Lock(self.root / LOCK)

    def close(self) -> None:
        """Unlock the directory once the last save is done, whether it failed or not."""
        with suppress(CheckpointError):
            self.saver.wait()
        if self._lock is not None:
            self._lock.release()

    def rewrite(self, document: Mapping[str, Any], plugins: Sequence[Path]) -> None:
        """Write the resolved recipe again, with changed settings."""
        names = [plugin.relative_to(self.root).as_posix() for plugin in plugins]
        named = {"plugins": names} if names else {}
        replace_file(self.root / RESOLVED, tomli_w.dumps({**named, **document}).encode())

    def write_sample(self, step: int, text: str) -> None:
        """Write a sample of text."""
        file = self.root / SAMPLES / f"step-{step:06d}.txt"
        try:
            file.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise CheckpointError(f"{file} cannot be written: {error.strerror}") from error

    def write_loss_curves(self, png: bytes) -> None:
        """Write the PNG file of the loss curves."""
        (self.root / LOSS).write_bytes(png)

    def save(self, snapshot: Snapshot, *, best: bool, keep: int) -> None:
        """Start to save a checkpoint in the background, after waiting for the save before it.

        Args:
            best: Whether it is the best so far.
            keep: Number of the latest checkpoints to keep, besides the best.

        Raises:
            CheckpointError: If the save before failed.
        """

        def job() -> None:
            # The rows up to a checkpoint must be on disk before it.
            self.metrics.sync()
            self.checkpoints.save(snapshot, best=best, keep=keep)

        self.saver.start(job)
