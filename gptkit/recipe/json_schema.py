"""The JSON Schema of recipes, from the signatures of the registered parts; for editors."""

from typing import Any

from gptkit.nn import SoftmaxAttention
from gptkit.recipe.keys import AT, KEYS, LAYER_SLOTS, SLOTS
from gptkit.registry.registry import AUTO, AUTO_SUMMARY, Entry, Registry


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
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gptkit recipe"}
    return head | table(files | sections)


def part_schema(registry: Registry, kind: str) -> dict[str, Any]:
    """Return the schema of a key that names a part: its name, or a table with its options."""
    entries = registry.of(kind)
    tables = {
        entry.name: {"description": entry.summary}
        | table({"use": {"const": entry.name}} | {name: option.schema() for name, option in entry.options.items()})
        for entry in entries
    }
    if kind == "attention":
        tables[AUTO] = auto_schema(entries)
    return {"anyOf": [{"enum": list(tables)}, *tables.values()]}


def auto_schema(entries: list[Entry]) -> dict[str, Any]:
    """Return the schema of `auto` with options: those of every attention that it may choose."""
    schemas: dict[str, list[Any]] = {}
    for entry in entries:
        if issubclass(entry.part, SoftmaxAttention):
            for option in entry.options.values():
                # The default depends on which attention is chosen.
                schema = {name: value for name, value in option.schema().items() if name != "default"}
                if schema not in schemas.setdefault(option.name, []):
                    schemas[option.name].append(schema)
    options = {name: each[0] if len(each) == 1 else {"anyOf": each} for name, each in schemas.items()}
    return {"description": AUTO_SUMMARY} | table({"use": {"const": AUTO}} | options)


def table(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a table that holds these keys and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}
