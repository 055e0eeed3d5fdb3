"""A constructor's signature read as a schema: its keyword-only, annotated parameters are the options."""

import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

# The default of an option that has none. Not `Parameter.empty`, which would unmake `Option`'s own default.
REQUIRED: Any = object()


@dataclass(frozen=True)
class Option:
    """One option: its name, its annotation, and its default or `REQUIRED`."""

    name: str
    annotation: Any
    default: Any = REQUIRED

    def __str__(self) -> str:
        """Return the option as a signature shows it, such as `expand: int = 4`."""
        default = "" if self.default is REQUIRED else f" = {self.default!r}"
        return f"{self.name}: {spell(self.annotation)}{default}"

    # Any, because beartype cannot read the type that this has: TypeAdapter[Any].
    def adapter(self) -> Any:
        """Return pydantic's validator of this option."""
        return TypeAdapter(self.annotation, config=ConfigDict(strict=True, allow_inf_nan=False))

    def validate(self, value: Any) -> Any:
        """Return a value of TOML as the type that the annotation asks for.

        Raises:
            ValueError: If it is not of that type or out of its range; says what was found and expected.
        """
        try:
            text = json.dumps(value)
        except TypeError:
            raise ValueError(f"takes {self}, found a date or time: {value}") from None
        try:
            # Through JSON, because it has TOML's types: an array may be a tuple and a string may be a path.
            return self.adapter().validate_json(text)
        except ValidationError as error:
            reasons = "; ".join(reason(detail) for detail in error.errors())
            raise ValueError(f"takes {self}, found {spell_value(value)}: {reasons}") from None

    def schema(self) -> dict[str, Any]:
        """Return the option's JSON Schema."""
        schema = self.adapter().json_schema()
        if self.default is not REQUIRED and self.default is not None:
            schema["default"] = self.adapter().dump_python(self.default, mode="json")
        return schema


def reason(detail: Any) -> str:
    """Return one of pydantic's findings in our words."""
    where = "".join(f" at item {i}" for i in detail["loc"] if isinstance(i, int))
    return (
        str(detail["msg"]).replace("Input should be", "it must be").replace("Field required", "it is missing")
        + where
    )


def spell_value(value: Any) -> str:
    """Return a value as TOML writes it, near enough."""
    return json.dumps(value) if isinstance(value, bool) else repr(value)


def spell(annotation: Any) -> str:
    """Return an annotation as a person writes it: `int`, `'auto' or 'fp32'`, `tuple of float, float`."""
    if get_origin(annotation) is Annotated:
        return spell(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return " or ".join(map(repr, get_args(annotation)))
    if arguments := [spell(argument) for argument in get_args(annotation) if argument is not Ellipsis]:
        name = getattr(get_origin(annotation), "__name__", "")
        return " or ".join(arguments) if name in ("Union", "UnionType") else f"{name} of {', '.join(arguments)}"
    return "nothing" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))


def parameters(constructor: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return a constructor's parameters, without self."""
    return list(inspect.signature(constructor).parameters.values())


def positional_parameters(part: type) -> list[str]:
    """Return the names of the positional parameters: what every part of a kind is handed."""
    return [p.name for p in parameters(part) if p.kind is p.POSITIONAL_OR_KEYWORD]


def options(part: type) -> dict[str, Option]:
    """Return the options of a part, or of a dataclass, by name."""
    constructor: Callable[..., Any] = part.__init__  # type: ignore[misc]
    hints = get_type_hints(constructor, include_extras=True)
    return {
        p.name: Option(p.name, hints.get(p.name, Any), REQUIRED if p.default is p.empty else p.default)
        for p in parameters(part)
        if p.kind is p.KEYWORD_ONLY
    }


def interface_errors(part: type, interface: type) -> list[str]:
    """Return what keeps a class from being a part behind an interface, one sentence each."""
    found = []
    if missing := sorted(getattr(part, "__abstractmethods__", ())):
        found.append(f"it leaves {', '.join(missing)} undefined, which {interface.__name__} asks for")
    for p in parameters(part):
        if p.kind is p.VAR_KEYWORD:
            found.append(f"its constructor takes **{p.name}: name each option, so that a wrong one is an error")
        elif p.kind is p.VAR_POSITIONAL:
            found.append(f"its constructor takes *{p.name}: name each parameter")
        elif p.kind is p.KEYWORD_ONLY and p.annotation is p.empty:
            found.append(f"its option '{p.name}' has no annotation: without one a recipe cannot be checked")
        elif isinstance(p.default, list | dict | set):
            found.append(f"its option '{p.name}' has a mutable default, {p.default!r}: use a tuple")
    if not found and len(positional_parameters(part)) != len(positional_parameters(interface)):
        asked, given = ", ".join(positional_parameters(interface)), ", ".join(positional_parameters(part))
        found.append(
            f"its constructor takes ({given}) by position, but a {interface.__name__} is handed ({asked}): "
            "options go behind a *"
        )
    return found or [sentence for option in options(part).values() for sentence in unusable(option)]


def unusable(option: Option) -> Iterable[str]:
    """Yield why no recipe could give this option, if none could."""
    try:
        adapter = option.adapter()
        if option.default is not REQUIRED:
            adapter.validate_python(option.default)
    except PydanticUserError:
        yield f"its option '{option.name}' is a {spell(option.annotation)}, which a recipe cannot hold"
    except ValidationError:
        yield f"its option '{option.name}' has the default {option.default!r}, which its own annotation refuses"
