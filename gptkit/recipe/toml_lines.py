"""The line on which each key of a TOML document stands, which no TOML reader tells."""

from collections.abc import Iterator
from typing import Any

import tomli

Key = tuple[str | int, ...]


def leaves(value: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Yield every value in nested tables and arrays of tables, with the path of keys that leads to it."""
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from leaves(below, (*key, name))
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for i, below in enumerate(value):
            yield from leaves(below, (*key, i))
    else:
        yield key, value


def key_lines(text: str) -> dict[Key, int]:
    """Return the line, counted from 1, on which each value of a valid TOML document is written.

    The document is read again one statement at a time, behind all the table headers so far: the value that
    such a reading adds stands on the statement's first line.
    """
    found: dict[Key, int] = {}
    headers = statement = ""
    first = 1
    for number, line in enumerate(text.split("\n"), 1):
        statement += line + "\n"
        try:
            table = tomli.loads(headers + statement)
        except tomli.TOMLDecodeError:
            continue  # the value goes on over the next line
        for key, _ in leaves(table):
            found.setdefault(key, first)
        if statement.lstrip().startswith("["):
            headers += statement
        statement, first = "", number + 1
    return found
