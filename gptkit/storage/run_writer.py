"""A run on disk, written: made, sampled into, saved. The names are those of `run_files`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from gptkit.errors import CheckpointError, UsageError
from gptkit.storage.background_saver import Saver
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
    RunFiles,
)
from gptkit.storage.safe_read import digest
from gptkit.storage.safe_write import remove, replace_file, sync_directory, write_file
from gptkit.storage.snapshot import Snapshot


class RunDir(RunFiles):
    """The directory of one run, new or old, for the one process that writes it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._saver = Saver()
        self._lock: Lock | None = None

    @classmethod
    def check_free(cls, root: Path) -> None:
        """Raise UsageError if a new run would meet something there."""
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
    ) -> "RunDir":
        """Return a new run's directory, locked, with all that is known before the first step.

        Args:
            recipe: The recipe's text, as it was written.
            document: The resolved recipe.
            plugins: The plugin files that the run uses, which are copied.
            tokenizer: What the tokenizer says of itself.
            origin: What the run must find as it was when it goes on after a stop.

        Raises:
            UsageError: If there is something in it, or another process is at work there.
        """
        cls.check_free(root)
        run, is_new = cls(root), not root.exists()
        root.mkdir(parents=True, exist_ok=True)
        run.lock()
        try:
            # Again, because another process may have come and gone before the lock was ours.
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
                # The last: without it this is no run directory.
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
        """Become the one process that writes here.

        Raises:
            UsageError: If another one is; names it.
        """
        self._lock = Lock(self.root / LOCK)

    def close(self) -> None:
        """Let other processes write here."""
        if self._lock is not None:
            self._lock.release()

    def rewrite(self, document: Mapping[str, Any], plugins: Sequence[Path]) -> None:
        """Write the resolved recipe anew, after what may change of it did."""
        names = [plugin.relative_to(self.root).as_posix() for plugin in plugins]
        named = {"plugins": names} if names else {}
        replace_file(self.root / RESOLVED, tomli_w.dumps({**named, **document}).encode())

    def write_sample(self, step: int, text: str) -> Path:
        """Write a sample of text and return where."""
        file = self.root / SAMPLES / f"step-{step:06d}.txt"
        try:
            file.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise CheckpointError(f"{file} cannot be written: {error.strerror}") from error
        return file

    def write_loss_curves(self, png: bytes) -> None:
        """Write the picture of the loss curves."""
        (self.root / LOSS).write_bytes(png)

    def save(self, snapshot: Snapshot, *, best: bool, keep: int) -> None:
        """Begin to save a checkpoint, after the one before it is saved.

        Args:
            best: Whether it is the best so far.
            keep: How many of the latest stay, besides the best.

        Raises:
            CheckpointError: If the one before could not be saved.
        """

        def job() -> None:
            # A checkpoint promises the rows before it.
            self.metrics.sync()
            self.checkpoints.save(snapshot, best=best, keep=keep)

        self._saver.start(job)

    def check(self) -> None:
        """Raise CheckpointError if the last checkpoint could not be saved, as far as that is known yet."""
        self._saver.check()

    def wait(self) -> None:
        """Wait until the last checkpoint is saved, or raise CheckpointError if it could not be."""
        self._saver.wait()
