"""What a check is tried on: a few values, from which the same input is made every time."""

import dataclasses
import json
from typing import Any

import torch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Input:
    """The values that an input is made from. Subclasses have fields with defaults, of JSON's types or a dtype."""

    def to_json(self) -> str:
        """Return the values that are not the defaults."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json.dumps(
            {
                field.name: spell(values[field.name])
                for field in dataclasses.fields(self)
                if field.name != "device" and values[field.name] != field.default
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> Any:
        """Return the input of some values; those left out are the defaults.

        Raises:
            ValueError: If a value is not known; names those that are.
        """
        given = json.loads(text)
        known = {field.name: field.default for field in dataclasses.fields(cls) if field.name != "device"}
        if not isinstance(given, dict) or (unknown := set(given) - set(known)):
            found = ", ".join(sorted(unknown)) if isinstance(given, dict) else text
            raise ValueError(f"an input is a JSON object of {', '.join(known)}, found {found}")
        return cls(**{name: read(value, known[name]) for name, value in given.items()})


def spell(value: Any) -> Any:
    """Return a value in JSON's types."""
    return str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else value


def read(value: Any, default: Any) -> Any:
    """Return a value of JSON as the type that a field's default has."""
    if isinstance(default, torch.dtype):
        return getattr(torch, value)
    if isinstance(default, tuple):
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)
    return value
