"""`gptkit components`: the parts that a recipe can name."""

import inspect
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from gptkit.cli.options import AsJson, PluginFiles, check_kind
from gptkit.cli.terminal import warn_of_failures
from gptkit.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from gptkit.registry.registry import Entry


class ListByDefault(TyperGroup):
    """A group of verbs whose default is `list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert `list` before arguments that do not begin with a verb."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=ListByDefault,
    help="List the parts that a recipe can name: gptkit components [KIND] [--json]; or show one.",
    rich_markup_mode=None,
)


@app.command("list")
def list_components(
    kind: Annotated[str | None, typer.Argument(help="A kind of part, such as attention.")] = None,
    as_json: AsJson = False,
    plugins: PluginFiles = None,
) -> None:
    """List the parts of one kind, or of all."""
    from gptkit.interfaces import KINDS
    from gptkit.registry.loader import BUILT_INS, Plugins
    from gptkit.registry.registry import AUTO, AUTO_SUMMARY

    if kind is not None:
        check_kind(kind)
    found = Plugins(plugins or ())
    warn_of_failures(found)
    entries = [entry for entry in found.registry if kind in (None, entry.kind)]
    if as_json:
        print(json.dumps([entry_fields(entry) for entry in entries], indent=2))
        return
    for of_kind in KINDS:
        named = [entry for entry in entries if entry.kind == of_kind]
        if named:
            print(of_kind)
        for entry in named:
            # A built-in part is in the file of its name; another could come from any plugin.
            origin = "" if entry.owner in BUILT_INS else f" (from {entry.owner})"
            print(f"  {entry.name:<16} {entry.summary}{origin}")
        if named and of_kind == "attention":
            print(f"  {AUTO:<16} {AUTO_SUMMARY}")


@app.command("show")
def show_component(
    name: Annotated[str, typer.Argument(help="The part's name.", show_default=False)],
    as_json: AsJson = False,
    plugins: PluginFiles = None,
) -> None:
    """Show a part's documentation, its options, and where it comes from."""
    from gptkit.registry.loader import Plugins
    from gptkit.registry.registry import AUTO, AUTO_SUMMARY

    if name == AUTO:
        raise UsageError(f"'{AUTO}' is no part, but what a recipe may say for an attention. {AUTO_SUMMARY}")
    found = Plugins(plugins or ())
    entries = [entry for entry in found.registry if entry.name == name]
    if not entries:
        near = did_you_mean(name, [entry.name for entry in found.registry])
        raise UsageError(
            f"no part is called '{name}'.{near}{found.failures()} `gptkit components` lists them all."
        )
    if as_json:
        print(json.dumps([entry_fields(entry) for entry in entries], indent=2))
        return
    for entry in entries:
        fields = entry_fields(entry)
        print(f"{entry.kind} {entry.name}: {fields['source']}, offered by {entry.owner}\n")
        print(f"{fields['documentation']}\n")
        print("options:" if entry.options else "no options")
        for option in entry.options.values():
            print(f"  {option}")


def entry_fields(entry: "Entry") -> dict[str, Any]:
    """Return a part's options, origin and documentation, in JSON's types."""
    from gptkit.registry.registry import class_location
    from gptkit.registry.signature import REQUIRED, format_annotation

    return {
        "kind": entry.kind,
        "name": entry.name,
        "summary": entry.summary,
        "owner": entry.owner,
        "source": class_location(entry.part),
        "documentation": inspect.getdoc(entry.part) or "",
        "options": [
            {
                "name": option.name,
                "type": format_annotation(option.annotation),
                "required": option.default is REQUIRED,
            }
            | ({} if option.default is REQUIRED else {"default": option.schema().get("default")})
            for option in entry.options.values()
        ],
    }
