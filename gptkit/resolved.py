"""A recipe with every value checked and every default filled in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import to_jsonable_python

from gptkit.settings import TrainSettings


@dataclass(frozen=True)
class Choice:
    """The part chosen under one key of a recipe: its name and the value of each of its options."""

    kind: str
    name: str
    options: Mapping[str, Any]
    key: str
    place: str

    def table(self) -> dict[str, Any]:
        """Return the choice as a recipe's table, in TOML's types; an option that is None is left out."""
        given = {name: value for name, value in self.options.items() if value is not None}
        return {"use": self.name, **to_jsonable_python(given)}


@dataclass(frozen=True)
class Resolved:
    """A recipe with every value checked and every default filled in.

    Args:
        text: The recipe, as it was written.
        sizes: The arguments of `Dims`, but for the vocabulary.
        parts: The chosen part of each kind.
        layers: For each layer, the chosen part of each kind that a layer may choose for itself.
        document: All of it, as a recipe that needs no base, no override and no default.
        places: Where each value of the document was written, by key.
    """

    name: str
    text: str
    sizes: Mapping[str, Any]
    parts: Mapping[str, Choice]
    layers: tuple[Mapping[str, Choice], ...]
    train: TrainSettings
    document: dict[str, Any]
    places: Mapping[str, str]

    def trained_with(self, **settings: Any) -> "Resolved":
        """Return the recipe with other values in its `[train]` section, and all else as it was."""
        document = {**self.document, "train": {**self.document["train"], **settings}}
        return replace(self, train=replace(self.train, **settings), document=document)
