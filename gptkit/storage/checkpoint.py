"""One checkpoint: a directory of weights, optimizer state, JSON, and a manifest with the hash of each file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gptkit.errors import CheckpointError
from gptkit.storage import optimizer_state, tensor_file
from gptkit.storage.safe_read import digest, read_bytes, read_json
from gptkit.storage.safe_write import make_directory, sync_directory, write_file
from gptkit.storage.snapshot import Snapshot

WEIGHTS, OPTIMIZER = "model.safetensors", "optimizer.safetensors"
STATE, MANIFEST = "state.json", "manifest.json"
FORMAT = 1


def write(folder: Path, snapshot: Snapshot) -> None:
    """Write a checkpoint into a new directory, its manifest last."""
    make_directory(folder)
    entries: dict[str, dict[str, Any]] = {}
    for name, content in (
        (WEIGHTS, tensor_file.to_bytes(snapshot.weights)),
        (OPTIMIZER, tensor_file.to_bytes(snapshot.optimizer)),
        (STATE, to_json(snapshot.state)),
    ):
        write_file(folder / name, content)
        entries[name] = {"size": len(content), "sha256": sha256(content).hexdigest()}
    write_file(folder / MANIFEST, to_json({"format": FORMAT, "step": snapshot.step, "files": entries}))
    sync_directory(folder)


def to_json(value: Mapping[str, Any]) -> bytes:
    """Return the bytes of an indented JSON file."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk, read as untrusted input."""

    folder: Path

    def manifest(self) -> dict[str, tuple[int, str]]:
        """Return the size in bytes and the SHA-256 of each file.

        Raises:
            CheckpointError: If it is damaged, of another format, or lists other files.
        """
        file = self.folder / MANIFEST
        if self.folder.is_symlink() or not self.folder.is_dir():
            raise CheckpointError(f"{self.folder} is not a directory of its run")
        found = read_json(file)
        match found:
            case {"format": int(version)} if version != FORMAT:
                raise CheckpointError(f"{file} is of format {version}, and this gptkit reads format {FORMAT}")
            case {"format": _, "step": int(step), "files": {**files}} if files.keys() == {
                WEIGHTS,
                OPTIMIZER,
                STATE,
            }:
                pass
            case _:
                raise CheckpointError(f"{file} is not a checkpoint's: expected {WEIGHTS}, {OPTIMIZER}, {STATE}")
        # No hash protects the manifest itself, but `to_json` writes it in only one way, and the name has its step.
        if read_bytes(file) != to_json(found) or step != int(self.folder.name.split("-")[1]):
            raise CheckpointError(f"{file} is damaged: it is not as it was written")
        entries: dict[str, tuple[int, str]] = {}
        for name, entry in files.items():
            match entry:
                case {"size": int(size), "sha256": str(hashed)}:
                    entries[str(name)] = (size, hashed)
                case _:
                    raise CheckpointError(f"{file} does not say the size and the sha256 of {name}")
        return entries

    def problems(self) -> list[str]:
        """Return the problems of the checkpoint, one sentence per file; empty if it is intact."""
        try:
            manifest = self.manifest()
            unknown = sorted({file.name for file in self.folder.iterdir()} - {*manifest, MANIFEST})
        except CheckpointError as error:
            return [str(error)]
        found = [f"{self.folder / name} is not in the manifest" for name in unknown]
        return found + [problem for name in manifest for problem in self.problems_of(name, manifest[name])]

    def problems_of(self, name: str, expected: tuple[int, str]) -> list[str]:
        """Return the problems of one file."""
        file = self.folder / name
        try:
            size, hashed = digest(file)
        except CheckpointError as error:
            return [str(error)]
        if size != expected[0]:
            return [f"{file} is damaged: it has {size:,} bytes, and its manifest says {expected[0]:,}"]
        if hashed != expected[1]:
            return [f"{file} is damaged: its sha256 is {hashed}, and its manifest says {expected[1]}"]
        return []

    def check(self, *names: str) -> None:
        """Raise CheckpointError unless these files match the manifest."""
        manifest = self.manifest()
        if problems := [problem for name in names for problem in self.problems_of(name, manifest[name])]:
            raise CheckpointError("\n".join(problems))

    def check_fit(self, model: nn.Module) -> None:
        """Raise CheckpointError unless the file has the model's tensor names and shapes; reads only its header."""
        file = self.folder / WEIGHTS
        if wrong := tensor_file.shape_errors(tensor_file.shapes(file), shapes_of(model)):
            raise CheckpointError(f"{file} does not fit the model: {'; '.join(wrong)}")

    def load_weights(self, model: nn.Module) -> None:
        """Load the weights into a model.

        Raises:
            CheckpointError: If they are damaged or have other names or shapes.
        """
        self.check(WEIGHTS)
        model.load_state_dict(tensor_file.read(self.folder / WEIGHTS, shapes_of(model)))

    def load_optimizer(self, optimizer: torch.optim.Optimizer, saved: Any) -> None:
        """Load the state of an optimizer.

        Args:
            saved: The `optimizer` entry of the checkpoint's `state`.

        Raises:
            CheckpointError: If it is damaged or of another optimizer.
        """
        self.check(OPTIMIZER)
        optimizer_state.restore(optimizer, tensor_file.read(self.folder / OPTIMIZER), saved)

    def state(self) -> dict[str, Any]:
        """Return everything but weights and optimizer tensors, from state.json.

        Raises:
            CheckpointError: If it is damaged.
        """
        self.check(STATE)
        return read_json(self.folder / STATE)


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a model's state dict."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
