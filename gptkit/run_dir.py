"""A run on disk. No other file knows the names of what is in it, but `checkpoints` those in its directory."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli
import tomli_w

from gptkit.checkpoint import Checkpoint, to_json
from gptkit.checkpoints import Checkpoints
from gptkit.durable import remove, replace_file, sync_directory, write_file
from gptkit.errors import CheckpointError, UsageError
from gptkit.faults import phase
from gptkit.lock import Lock
from gptkit.metrics_log import MetricsLog
from gptkit.plot import loss_curves
from gptkit.recipe import Recipe, read
from gptkit.saver import Saver
from gptkit.snapshot import Snapshot
from gptkit.untrusted import digest, read_bytes, read_json

RECIPE, RESOLVED, PLUGINS, ORIGIN = "recipe.toml", "resolved.toml", "plugins", "origin.json"
METRICS, SAMPLES, LOSS, ENVIRONMENT = "metrics.jsonl", "samples", "loss.png", "env.json"
TOKENIZER, CHECKPOINTS, LOCK = "tokenizer.json", "checkpoints", "lock"


class RunDir:
    """The directory of one run, new or old."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkpoints = Checkpoints(root / CHECKPOINTS)
        self.metrics = MetricsLog(root / METRICS)
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
                sync_directory(root)
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
        shutil.copyfile(file, copy)
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

    @property
    def resolved(self) -> Path:
        """The resolved recipe.

        Raises:
            CheckpointError: If this is no run directory.
        """
        if not self.root.is_dir():
            raise CheckpointError(f"{self.root}: no such run directory")
        for name in (RESOLVED, TOKENIZER, CHECKPOINTS):
            if not (self.root / name).exists():
                raise CheckpointError(f"{self.root} is not a run directory: it has no {name}")
        return self.root / RESOLVED

    @staticmethod
    def of(recipe: Path) -> "RunDir | None":
        """Return the run directory whose resolved recipe this is, if it is one's."""
        is_one = recipe.name == RESOLVED and (recipe.parent / CHECKPOINTS).exists()
        return RunDir(recipe.parent) if is_one else None

    def read(self, overrides: Sequence[str] = ()) -> Recipe:
        """Return the resolved recipe, as somebody wrote it.

        Raises:
            CheckpointError: If this is no run directory, or the recipe names a file outside of it.
            RecipeError: If an override is wrong.
        """
        file = self.resolved
        try:
            written = tomli.loads(read_bytes(file).decode())
        except (ValueError, RecursionError):
            written = {}  # What is wrong with it is said better by whoever reads it below.
        if "base" in written:
            raise CheckpointError(f"{file} is based on another recipe, and a run's own is whole in itself")
        recipe = read(file, overrides)
        for plugin in recipe.plugins:
            if plugin.parent != self.root / PLUGINS or plugin.is_symlink() or (self.root / PLUGINS).is_symlink():
                raise CheckpointError(f"{file} names the plugin file {plugin}, which is not of this run")
        return recipe

    def rewrite(self, document: Mapping[str, Any], plugins: Sequence[Path]) -> None:
        """Write the resolved recipe anew, after what may change of it did."""
        names = [plugin.relative_to(self.root).as_posix() for plugin in plugins]
        named = {"plugins": names} if names else {}
        replace_file(self.root / RESOLVED, tomli_w.dumps({**named, **document}).encode())

    def origin(self) -> dict[str, Any]:
        """Return what the run began with.

        Raises:
            CheckpointError: If it cannot be read.
        """
        return read_json(self.root / ORIGIN)

    def saved_tokenizer(self) -> dict[str, Any]:
        """Return what the tokenizer saved.

        Raises:
            CheckpointError: If it is not JSON.
        """
        return read_json(self.root / TOKENIZER)

    def write_sample(self, step: int, text: str) -> Path:
        """Write a sample of text and return where."""
        file = self.root / SAMPLES / f"step-{step:06d}.txt"
        try:
            file.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise CheckpointError(f"{file} cannot be written: {error.strerror}") from error
        return file

    def draw(self) -> Path:
        """Draw the loss curves and return where."""
        loss_curves(self.metrics.rows()).savefig(self.root / LOSS, dpi=120)
        return self.root / LOSS

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

    def checkpoint(self, asked: str) -> Checkpoint:
        """Return the checkpoint that `best`, `last` or a name such as `step-000100` means.

        Raises:
            CheckpointError: If there is none.
        """
        return self.checkpoints.get(asked)

    def changed_files(self) -> list[str]:
        """Return what is wrong with the files that must stay as the run began with them, one sentence each."""
        hashes = self.origin().get("files")
        if not isinstance(hashes, dict):
            return [f"{self.root / ORIGIN} does not say what the run began with"]
        found = []
        for name, hashed in hashes.items():
            if name != TOKENIZER and Path(PLUGINS, Path(name).name) != Path(name):
                found.append(f"{self.root / ORIGIN} names {name!r}, which is no file of a run")
                continue
            try:
                if digest(self.root / name)[1] != hashed:
                    found.append(f"{self.root / name} is not what the run began with: its sha256 has changed")
            except CheckpointError as error:
                found.append(str(error))
        return found

    def verify(self) -> dict[str, list[str]]:
        """Return what is wrong with each part of the run, by name; an empty list is one that is whole.

        Raises:
            CheckpointError: If this is no run directory.
        """
        self.read()
        return {ORIGIN: self.changed_files()} | self.checkpoints.problems()
