"""The JSON Schema of recipes, from the signatures of the parts there are; for editors."""

from typing import Any

from gptkit.keys import AT, KEYS, LAYER_SLOTS, SLOTS
from gptkit.registry import Registry


def recipe_schema(registry: Registry) -> dict[str, Any]:
    """Return the JSON Schema of a recipe."""
    sections = {
        section: table(
            {name: option.schema() for name, option in KEYS[section].items()}
            | {kind: part_schema(registry, kind) for kind in kinds}
        )
        for section, kinds in SLOTS.items()
    }
    layer = table({"at": AT.schema()} | {kind: part_schema(registry, kind) for kind in LAYER_SLOTS})
    sections["model"]["properties"]["layer"] = {"type": "array", "items": layer}
    files = {"base": {"type": "string"}, "plugins": {"type": "array", "items": {"type": "string"}}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gptkit recipe",
        **table(files | sections),
    }


def part_schema(registry: Registry, kind: str) -> dict[str, Any]:
    """Return the schema of a key that names a part: its name, or a table with its options."""
    entries = registry.of(kind)
    tables = [
        {"description": entry.summary}
        | table({"use": {"const": entry.name}} | {name: option.schema() for name, option in entry.options.items()})
        for entry in entries
    ]
    return {"anyOf": [{"enum": [entry.name for entry in entries]}, *tables]}


def table(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a table that holds these keys and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}
