"""`gptkit components`: the parts that a recipe can name."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from gptkit.cli.options import AsJson, PluginFiles, check_kind

if TYPE_CHECKING:
    from gptkit.registry.registry import Entry


class ListByDefault(TyperGroup):
    """A group whose first argument, where it is no verb, is one for its verb `list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` before arguments that name no verb."""
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
    from gptkit.cli.terminal import warn_of_failures
    from gptkit.interfaces import KINDS
    from gptkit.registry.built_ins import BUILT_INS
    from gptkit.registry.loader import Plugins
    from gptkit.registry.registry import AUTO, AUTO_SUMMARY

    if kind is not None:
        check_kind(kind)
    found = Plugins(plugins or ())
    warn_of_failures(found)
    entries = [entry for entry in found.registry if kind in (None, entry.kind)]
    if as_json:
        print(json.dumps([describe(entry) for entry in entries], indent=2))
        return
    for of_kind in KINDS:
        named = [entry for entry in entries if entry.kind == of_kind]
        if named:
            print(of_kind)
        for entry in named:
            # A part of gptkit's own comes from the file of its name; a stranger's could come from anywhere.
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
    """Show a part's options, where it comes from, and what its author says of it."""
    from gptkit.errors import UsageError, did_you_mean
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
        print(json.dumps([describe(entry) for entry in entries], indent=2))
        return
    for entry in entries:
        told = describe(entry)
        print(
            f"{entry.kind} {entry.name}: {told['source']}, offered by {entry.owner}\n\n{told['documentation']}\n"
        )
        print("options:" if entry.options else "no options")
        for option in entry.options.values():
            print(f"  {option}")


def describe(entry: "Entry") -> dict[str, Any]:
    """Return all there is to say of a part, in JSON's types."""
    import inspect

    from gptkit.registry.registry import describe as where
    from gptkit.registry.signature import REQUIRED, spell

    return {
        "kind": entry.kind,
        "name": entry.name,
        "summary": entry.summary,
        "owner": entry.owner,
        "source": where(entry.part),
        "documentation": inspect.getdoc(entry.part) or "",
        "options": [
            {"name": option.name, "type": spell(option.annotation), "required": option.default is REQUIRED}
            | ({} if option.default is REQUIRED else {"default": option.schema().get("default")})
            for option in entry.options.values()
        ],
    }
