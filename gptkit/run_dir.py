"""A run on disk. No other file knows the names of what is in it."""

import json
import shutil
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import tomli_w
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from gptkit.errors import CheckpointError, UsageError
from gptkit.interfaces import Tokenizer
from gptkit.plot import loss_curves

RECIPE, RESOLVED, PLUGINS = "recipe.toml", "resolved.toml", "plugins"
METRICS, SAMPLES, LOSS, ENVIRONMENT = "metrics.jsonl", "samples", "loss.png", "env.json"
TOKENIZER, CHECKPOINTS, WEIGHTS, STATE = "tokenizer.json", "checkpoints", "model.safetensors", "state.json"


class RunDir:
    """The directory of one run, new or old."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def check_free(cls, root: Path) -> None:
        """Raise UsageError if a new run would meet something there."""
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise UsageError(f"{root} has something in it: a run starts in a new or an empty directory")

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        recipe: str,
        document: Mapping[str, Any],
        plugins: Sequence[Path],
        tokenizer: Tokenizer,
        environment: Mapping[str, Any],
    ) -> "RunDir":
        """Return a new run's directory, with all that is known before the first step.

        Args:
            recipe: The recipe's text, as it was written.
            document: The resolved recipe.
            plugins: The plugin files that the run uses, which are copied.
        """
        cls.check_free(root)
        run = cls(root)
        for folder in (run.root, run.root / SAMPLES, run.root / CHECKPOINTS):
            folder.mkdir(parents=True, exist_ok=True)
        copies = [run.copy_plugin(file, i) for i, file in enumerate(plugins)]
        (root / RECIPE).write_text(recipe, encoding="utf-8", newline="")
        named = {"plugins": copies} if copies else {}
        (root / RESOLVED).write_text(tomli_w.dumps({**named, **document}), encoding="utf-8")
        write_json(root / ENVIRONMENT, environment)
        write_json(root / TOKENIZER, tokenizer.to_json())
        (root / METRICS).touch()
        return run

    def copy_plugin(self, file: Path, i: int) -> str:
        """Copy a plugin file and return its name relative to the directory."""
        (self.root / PLUGINS).mkdir(exist_ok=True)
        copy = self.root / PLUGINS / file.name
        if copy.exists():
            copy = copy.with_name(f"{file.stem}_{i}{file.suffix}")
        shutil.copyfile(file, copy)
        return copy.relative_to(self.root).as_posix()

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

    def log(self, row: Mapping[str, Any]) -> None:
        """Append a row of metrics."""
        with (self.root / METRICS).open("a", encoding="utf-8") as file:
            # JSON has no NaN and no infinity.
            finite = {
                key: None if isinstance(value, float) and not isfinite(value) else value
                for key, value in row.items()
            }
            file.write(json.dumps(finite) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """Return every row of metrics."""
        return [json.loads(line) for line in (self.root / METRICS).read_text(encoding="utf-8").splitlines()]

    def write_sample(self, step: int, text: str) -> Path:
        """Write a sample of text and return where."""
        file = self.root / SAMPLES / f"step-{step:06d}.txt"
        file.write_text(text, encoding="utf-8", newline="")
        return file

    def draw(self) -> Path:
        """Draw the loss curves and return where."""
        loss_curves(self.metrics()).savefig(self.root / LOSS, dpi=120)
        return self.root / LOSS

    def save(self, step: int, model: nn.Module, state: Mapping[str, Any], *, best: bool) -> None:
        """Save a checkpoint as the last one and, if it is, as the best; remove those that are neither."""
        folder = self.root / CHECKPOINTS
        new = folder / f"step-{step:06d}"
        if not new.exists():
            # Written beside its place and moved there, so that a checkpoint is whole or not there.
            beside = folder / f".{new.name}"
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
            save_model(model, str(beside / WEIGHTS))
            write_json(beside / STATE, state)
            beside.rename(new)
        for pointer in ("last", "best") if best else ("last",):
            point(folder / pointer, new.name)
        kept = {self.checkpoint(name) for name in ("last", "best") if (folder / name).exists()}
        for old in set(folder.glob("step-*")) - kept:
            shutil.rmtree(old)

    def checkpoint(self, name: str) -> Path:
        """Return the directory of the checkpoint that `best` or `last` points at.

        Raises:
            CheckpointError: If there is none.
        """
        pointer = self.root / CHECKPOINTS / name
        if not pointer.is_file():
            raise CheckpointError(
                f"{self.root} has no checkpoint '{name}': its run was stopped before it saved one"
            )
        target = Path(pointer.read_text(encoding="utf-8", errors="replace").strip()).name
        if not target or not (pointer.parent / target).is_dir():
            raise CheckpointError(f"{pointer} points at {target or 'nothing'}, which is not there")
        return pointer.parent / target

    def load_weights(self, model: nn.Module, checkpoint: str) -> None:
        """Load a checkpoint's weights into a model.

        Raises:
            CheckpointError: If there are none, or they do not fit.
        """
        file = self.checkpoint(checkpoint) / WEIGHTS
        try:
            load_model(model, file)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}") from error
        except RuntimeError as error:
            raise CheckpointError(f"{file} does not fit the model: {' '.join(str(error).split())}") from error

    def saved_tokenizer(self) -> dict[str, Any]:
        """Return what the tokenizer saved.

        Raises:
            CheckpointError: If it is not JSON.
        """
        file = self.root / TOKENIZER
        try:
            saved: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}") from error
        return saved


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file that a person can read."""
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def point(pointer: Path, name: str) -> None:
    """Make a pointer name a checkpoint, in one move."""
    beside = pointer.with_name(f".{pointer.name}")
    beside.write_text(name + "\n", encoding="utf-8")
    beside.replace(pointer)
