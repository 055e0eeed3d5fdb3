"""Reads the options of a part from its constructor: its keyword-only, annotated parameters."""

import inspect
import json
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

# The default of a required option. Not `Parameter.empty`: `Option.default` itself would then have no default.
REQUIRED: Any = object()


@dataclass(frozen=True)
class Option:
    """One option: its name, its annotation, and its default or `REQUIRED`."""

    name: str
    annotation: Any
    default: Any = REQUIRED

    def __str__(self) -> str:
        """Return the option as in a signature: `expand: int = 4`."""
        default = "" if self.default is REQUIRED else f" = {self.default!r}"
        return f"{self.name}: {format_annotation(self.annotation)}{default}"

    # Annotated Any because beartype cannot read TypeAdapter[Any].
    def adapter(self) -> Any:
        """Return pydantic's validator of this option."""
        return TypeAdapter(self.annotation, config=ConfigDict(strict=True, allow_inf_nan=False))

    def validate(self, value: Any) -> Any:
        """Convert a TOML value to the annotated type.

        Raises:
            ValueError: If it has another type or is out of range; says what was found and expected.
        """
        try:
            text = json.dumps(value)
        except TypeError:
            raise ValueError(f"takes {self}, found a date or time: {value}") from None
        try:
            # As JSON, whose types are TOML's: an array may become a tuple, and a string a path.
            return self.adapter().validate_json(text)
        except ValidationError as error:
            reasons = "; ".join(reason(detail) for detail in error.errors())
            found = text if isinstance(value, bool) else repr(value)
            raise ValueError(f"takes {self}, found {found}: {reasons}") from None

    def to_json(self, value: Any) -> Any:
        """Return a value of this option in JSON's types; `validate` converts it back."""
        return self.adapter().dump_python(value, mode="json")

    def schema(self) -> dict[str, Any]:
        """Return the option's JSON Schema."""
        schema = self.adapter().json_schema()
        if self.default is not REQUIRED and self.default is not None:
            schema["default"] = self.to_json(self.default)
        return schema


def reason(detail: Any) -> str:
    """Return the message of one of pydantic's errors, with the index of the item that it is about."""
    where = "".join(f" at item {i}" for i in detail["loc"] if isinstance(i, int))
    message = str(detail["msg"]).replace("Input should be", "it must be")
    return message.replace("Field required", "it is missing") + where


def format_annotation(annotation: Any) -> str:
    """Return an annotation in words: `int`, `'auto' or 'fp32'`, `tuple of float, float`."""
    if get_origin(annotation) is Annotated:
        return format_annotation(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return " or ".join(map(repr, get_args(annotation)))
    if arguments := [format_annotation(argument) for argument in get_args(annotation) if argument is not Ellipsis]:
        name = getattr(get_origin(annotation), "__name__", "")
        return " or ".join(arguments) if name in ("Union", "UnionType") else f"{name} of {', '.join(arguments)}"
    return "nothing" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))


def positional_parameters(part: type) -> list[str]:
    """Return the names of the positional parameters, which all parts of a kind share."""
    return [p.name for p in inspect.signature(part).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]


def options(part: type) -> dict[str, Option]:
    """Return the options of a part, or of a dataclass, by name."""
    hints = get_type_hints(part.__init__, include_extras=True)  # type: ignore[misc]
    return {
        p.name: Option(p.name, hints.get(p.name, Any), REQUIRED if p.default is p.empty else p.default)
        for p in inspect.signature(part).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }


@cache
def interface_errors(part: type, interface: type) -> tuple[str, ...]:
    """Return the reasons why a class does not fit an interface, one sentence each."""
    found: list[str] = []
    if missing := sorted(getattr(part, "__abstractmethods__", ())):
        found.append(f"it leaves {', '.join(missing)} undefined, which {interface.__name__} asks for")
    for p in inspect.signature(part).parameters.values():
        if p.kind is p.VAR_KEYWORD:
            found.append(f"its constructor takes **{p.name}: name each option, so that a wrong one is an error")
        elif p.kind is p.VAR_POSITIONAL:
            found.append(f"its constructor takes *{p.name}: name each parameter")
        elif p.kind is p.KEYWORD_ONLY and p.annotation is p.empty:
            found.append(f"its option '{p.name}' has no annotation: without one a recipe cannot be checked")
        elif isinstance(p.default, list | dict | set):
            found.append(f"its option '{p.name}' has a mutable default, {p.default!r}: use a tuple")
    given, asked = positional_parameters(part), positional_parameters(interface)
    if not found and len(given) != len(asked):
        found.append(
            f"its constructor takes ({', '.join(given)}) by position, but a {interface.__name__} is handed "
            f"({', '.join(asked)}): options go behind a *"
        )
    if found:
        return tuple(found)
    for option in options(part).values():
        try:
            adapter = option.adapter()
            if option.default is not REQUIRED:
                adapter.validate_python(option.default)
        except PydanticUserError:
            shown = format_annotation(option.annotation)
            found.append(f"its option '{option.name}' is a {shown}, which a recipe cannot hold")
        except ValidationError:
            shown = f"{option.default!r}, which its own annotation refuses"
            found.append(f"its option '{option.name}' has the default {shown}")
    return tuple(found)
