"""Lines: every value of a TOML document is found on the line where it is written."""

from typing import Any

import pytest
import tomli
import tomli_w
from hypothesis import given, settings, strategies as st

from gptkit.recipe.values import Key, key_lines, leaves

# Few names, so that they often meet; and any text, because a quoted key may be that.
NAMES = st.sampled_from(["a", "b", "c", "a b", "1", ""]) | st.text(max_size=4)
SCALARS = (
    st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.booleans()
    | st.text(max_size=12)
    | st.dates()
    | st.times()
    | st.datetimes()
)
VALUES = st.recursive(
    SCALARS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(NAMES, inside, max_size=3),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)
# Tables and arrays of tables that hold nothing but numbers, each number in one place alone.
NUMBERED = st.recursive(
    st.just(None),
    lambda inside: (
        st.lists(st.dictionaries(NAMES, inside, min_size=1, max_size=3), min_size=1, max_size=3)
        | st.dictionaries(NAMES, inside, max_size=3)
    ),
    max_leaves=12,
)


def numbered(value: Any, first: int = 100_000) -> Any:
    """Return nested tables with each None replaced by a number of its own."""
    numbers = iter(range(first, first + 1_000))

    def fill(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: fill(inside) for name, inside in part.items()}
        return [fill(inside) for inside in part] if isinstance(part, list) else next(numbers)

    return fill(value)


def found(text: str) -> dict[Key, int]:
    """Return the lines of the values that a document has, and no others."""
    values = dict(leaves(tomli.loads(text)))
    return {key: line for key, line in key_lines(text).items() if key in values}


@settings(max_examples=100)
@given(DOCUMENTS, st.booleans())
def test_every_value_of_a_document_has_a_line(document: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(document, multiline_strings=multiline)
    assert dict(leaves(tomli.loads(text))).keys() <= key_lines(text).keys()


@settings(max_examples=100)
@given(st.dictionaries(NAMES, NUMBERED, max_size=4))
def test_a_value_stands_on_the_line_that_is_found(document: dict[str, Any]) -> None:
    text = tomli_w.dumps(numbered(document))
    lines = text.split("\n")
    for key, value in leaves(tomli.loads(text)):
        # An array that tomli_w writes over several lines stands where it begins.
        if isinstance(value, int) and not any(isinstance(name, int) for name in key):
            assert str(value) in lines[key_lines(text)[key] - 1]


@pytest.mark.parametrize(
    ("text", "lines"),
    {
        "": {(): 1},
        "# a reason\n\na = 1 # another\n": {("a",): 3},
        "a = 1": {("a",): 1},
        "a = [\n  1,\n  # two\n  2,\n]\nb = 3\n": {("a",): 1, ("b",): 6},
        'a = """\nb = 1\n[c]\n"""\nb = 2\n': {("a",): 1, ("b",): 5},
        "a = '''\n'''\nb = 2\n": {("a",): 1, ("b",): 3},
        "a.b = 1\na.c.d = 2\n": {("a", "b"): 1, ("a", "c", "d"): 2},
        "a = { b = 1, c.d = 2 }\n": {("a", "b"): 1, ("a", "c", "d"): 1},
        '"a.b" = 1\n\'c d\'."" = 2\n': {("a.b",): 1, ("c d", ""): 2},
        "[a]\nb = 1\n\n[a.c]\nb = 2\n": {("a", "b"): 2, ("a", "c", "b"): 5},
        "[a.b]\nc = 1\n[a]\nd = 2\n": {("a", "b", "c"): 2, ("a", "d"): 4},
        "[a] # empty\n[b]\n": {("a",): 1, ("b",): 2},
        "a = [{ b = 1 },\n     { b = 2 }]\n": {("a", 0, "b"): 1, ("a", 1, "b"): 1},
    }.items(),
)
def test_a_value_stands_where_its_statement_begins(text: str, lines: dict[Key, int]) -> None:
    assert found(text) == lines


ARRAY = """\
[[layer]]
at = 1
[layer.norm]
eps = 2
[layer.norm.deep]
x = 3

[[layer]]
at = 8
norm.eps = 9
[[layer.inner]]
y = 10
[[layer.inner]]
y = 12
[other]
at = 14
"""


def test_a_value_in_an_array_of_tables_is_found_under_its_own_header() -> None:
    assert found(ARRAY) == {
        ("layer", 0, "at"): 2,
        ("layer", 0, "norm", "eps"): 4,
        ("layer", 0, "norm", "deep", "x"): 6,
        ("layer", 1, "at"): 9,
        ("layer", 1, "norm", "eps"): 10,
        ("layer", 1, "inner", 0, "y"): 12,
        ("layer", 1, "inner", 1, "y"): 14,
        ("other", "at"): 16,
    }


def test_windows_line_ends_change_no_line() -> None:
    assert found(ARRAY.replace("\n", "\r\n")) == found(ARRAY)


def test_leaves_are_the_values_that_are_neither_tables_nor_arrays_of_tables() -> None:
    document = {"a": {"b": 1, "c": {}}, "d": [], "e": [1, {"f": 2}], "g": [{"h": 3}, {}]}
    assert dict(leaves(document)) == {
        ("a", "b"): 1,
        ("a", "c"): {},
        ("d",): [],
        ("e",): [1, {"f": 2}],
        ("g", 0, "h"): 3,
        ("g", 1): {},
    }
