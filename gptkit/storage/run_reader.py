"""Reads a run directory, as untrusted input, and knows the names of its files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli

from gptkit.errors import CheckpointError
from gptkit.recipe.read import Recipe, read
from gptkit.storage.checkpoint_store import CheckpointStore
from gptkit.storage.metrics_log import MetricsLog
from gptkit.storage.safe_read import digest, read_bytes, read_json

RECIPE, RESOLVED, PLUGINS, ORIGIN = "recipe.toml", "resolved.toml", "plugins", "origin.json"
METRICS, SAMPLES, LOSS, ENVIRONMENT = "metrics.jsonl", "samples", "loss.png", "env.json"
TOKENIZER, CHECKPOINTS, LOCK = "tokenizer.json", "checkpoints", "lock"


class RunReader:
    """The directory of one run, opened for reading."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkpoints = CheckpointStore(root / CHECKPOINTS)
        self.metrics = MetricsLog(root / METRICS)

    @property
    def resolved(self) -> Path:
        """Path of the resolved recipe.

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
    def of(recipe: Path) -> "RunReader | None":
        """Return the run directory that this resolved recipe belongs to, or None for any other recipe."""
        is_one = recipe.name == RESOLVED and (recipe.parent / CHECKPOINTS).exists()
        return RunReader(recipe.parent) if is_one else None

    def read(self, overrides: Sequence[str] = ()) -> Recipe:
        """Return the resolved recipe, not yet checked.

        Raises:
            CheckpointError: If this is no run directory, or the recipe names a file outside it.
            RecipeError: If an override is wrong.
        """
        file = self.resolved
        try:
            written = tomli.loads(read_bytes(file).decode())
        except (ValueError, RecursionError):
            written = {}  # `read` below explains better what is wrong.
        if "base" in written:
            raise CheckpointError(f"{file} is based on another recipe, and a run's own is whole in itself")
        recipe = read(file, overrides)
        for plugin in recipe.plugins:
            if plugin.parent != self.root / PLUGINS or plugin.is_symlink() or (self.root / PLUGINS).is_symlink():
                raise CheckpointError(f"{file} names the plugin file {plugin}, which is not of this run")
        return recipe

    def origin(self) -> dict[str, Any]:
        """Return what must be unchanged when the run is resumed.

        Raises:
            CheckpointError: If it cannot be read.
        """
        return read_json(self.root / ORIGIN)

    def saved_tokenizer(self) -> dict[str, Any]:
        """Return the JSON of the tokenizer.

        Raises:
            CheckpointError: If it is not JSON.
        """
        return read_json(self.root / TOKENIZER)

    def changed_files(self) -> list[str]:
        """Return one sentence for each file that has changed since the run began and must not."""
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
        """Return the problems of each part of the run, by name; an empty list is an intact part.

        Raises:
            CheckpointError: If this is no run directory.
        """
        self.read()
        return {ORIGIN: self.changed_files()} | self.checkpoints.problems()
