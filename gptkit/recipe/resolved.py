"""A recipe with every value checked and every default filled in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import to_jsonable_python

from gptkit.errors import Problem
from gptkit.recipe.train_settings import TrainSettings
from gptkit.registry.registry import AUTO


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
class Auto(Choice):
    """The choice of `auto`: the attention that will measure fastest.

    Its options are only those that were given, because the others depend on which attention is chosen.

    Args:
        candidates: Each attention that equals `naive` and takes the options, as if it were named.
        refused: Why the others cannot be chosen, by name.
    """

    candidates: tuple[Choice, ...]
    refused: Mapping[str, str]

    def unresolved(self) -> Problem:
        """Return the problem of building an attention while the choice is still `auto`."""
        names = ", ".join(choice.name for choice in self.candidates)
        message = f"'{AUTO}' is settled by timing training, before a run's first step. Here name one: {names}"
        return Problem(self.place, self.key, message)


@dataclass(frozen=True)
class Resolved:
    """A recipe with every value checked and every default filled in.

    Args:
        text: The recipe file as it was written.
        sizes: The arguments of `Dims` except `vocab_size`.
        parts: The chosen part of each kind.
        layers: For each layer, its part of each kind that `[[model.layer]]` can override.
        document: The whole recipe in TOML's types, without base, overrides or defaults.
        places: Where each value of the document was written, by dotted key.
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
        """Return the recipe with other values in its `[train]` section."""
        document = {**self.document, "train": {**self.document["train"], **to_jsonable_python(settings)}}
        return replace(self, train=replace(self.train, **settings), document=document)

    @property
    def autos(self) -> tuple[Auto, ...]:
        """The unresolved choices of `auto`, one for each key."""
        choices = [self.parts["attention"], *(layer["attention"] for layer in self.layers)]
        return tuple({choice.key: choice for choice in choices if isinstance(choice, Auto)}.values())

    def with_stand_ins(self, stand_ins: Mapping[str, Choice]) -> "Resolved":
        """Return the recipe with other parts under some keys; its document is unchanged."""
        parts, *layers = (
            {kind: stand_ins.get(choice.key, choice) for kind, choice in choices.items()}
            for choices in (self.parts, *self.layers)
        )
        return replace(self, parts=parts, layers=tuple(layers))
