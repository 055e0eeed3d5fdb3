"""A run on disk, as anybody may have made it: what is in it under which name, and reading it with care."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli

from gptkit.errors import CheckpointError
from gptkit.recipe.read import Recipe, read
from gptkit.storage.checkpoint import Checkpoint
from gptkit.storage.checkpoint_store import Checkpoints
from gptkit.storage.metrics_log import MetricsLog
from gptkit.storage.safe_read import digest, read_bytes, read_json

RECIPE, RESOLVED, PLUGINS, ORIGIN = "recipe.toml", "resolved.toml", "plugins", "origin.json"
METRICS, SAMPLES, LOSS, ENVIRONMENT = "metrics.jsonl", "samples", "loss.png", "env.json"
TOKENIZER, CHECKPOINTS, LOCK = "tokenizer.json", "checkpoints", "lock"


class RunFiles:
    """The directory of one run, for reading."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkpoints = Checkpoints(root / CHECKPOINTS)
        self.metrics = MetricsLog(root / METRICS)

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
    def of(recipe: Path) -> "RunFiles | None":
        """Return the run directory whose resolved recipe this is, if it is one's."""
        is_one = recipe.name == RESOLVED and (recipe.parent / CHECKPOINTS).exists()
        return RunFiles(recipe.parent) if is_one else None

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
