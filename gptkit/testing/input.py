"""The input of a check: a few values, from which the same input is drawn every time."""

import dataclasses
import json
from typing import Any

import torch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Input:
    """The values of an input. The fields of subclasses have defaults, of JSON's types or a dtype."""

    def to_json(self) -> str:
        """Return the values that differ from the defaults, as JSON."""
        values = {
            field.name: to_json_value(value)
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default and field.name != "device"
        }
        return json.dumps(values, ensure_ascii=False)

    def beyond_the_trivial(self) -> frozenset[str]:
        """Return, in words, the axes on which this input is larger than the smallest there is."""
        return frozenset()

    @classmethod
    def from_json(cls, text: str) -> Any:
        """Return the input of some values; the others have their defaults.

        Raises:
            ValueError: If the text is no JSON object or has an unknown key; the message lists the known ones.
        """
        given = json.loads(text)
        known = {field.name: field.default for field in dataclasses.fields(cls) if field.name != "device"}
        if not isinstance(given, dict) or (unknown := set(given) - set(known)):
            found = ", ".join(sorted(unknown)) if isinstance(given, dict) else text
            raise ValueError(f"an input is a JSON object of {', '.join(known)}, found {found}")
        return cls(**{name: from_json_value(value, known[name]) for name, value in given.items()})


def to_json_value(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    return str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else value


def from_json_value(value: Any, default: Any) -> Any:
    """Return a value from JSON in the type of the field's default."""
    if isinstance(default, torch.dtype):
        return getattr(torch, value)
    if isinstance(default, tuple):
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)
    return value
