"""`gptkit recipe`: list and copy the shipped recipes; check a recipe, show it resolved, or print its schema."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gptkit.cli.new import write_new_files
from gptkit.cli.options import Overrides, PluginFiles, RecipeFile, TrustPlugins
from gptkit.cli.terminal import warn_of_failures

app = typer.Typer(
    help="List and copy gptkit's recipes; check one, show it with everything filled in, or print the schema.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_recipes() -> None:
    """List the recipes that come with gptkit; every command takes their names."""
    from gptkit.recipe.shipped import shipped_recipes

    for name, file in shipped_recipes().items():
        first, _, _ = file.read_text(encoding="utf-8").partition("\n")
        print(f"{name:<16} {first.removeprefix('# ')}")


@app.command("copy")
def copy(
    name: Annotated[str, typer.Argument(help="The name of a recipe that comes with gptkit.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to; by default NAME.toml.", show_default=False)
    ] = None,
) -> None:
    """Copy a recipe to change it, and beside it the recipes that it is based on and the plugin files it names."""
    from gptkit.recipe.shipped import copied_files

    out = out or Path(f"{name}.toml")
    texts = copied_files(name, out.name)
    write_new_files(texts, out.parent, keep_equal=[each for each in texts if each != out.name])


@app.command("check")
def check(
    recipe: RecipeFile,
    overrides: Overrides = None,
    plugins: PluginFiles = None,
    trust_plugins: TrustPlugins = False,
) -> None:
    """Say everything that is wrong with a recipe, without reading its data or training."""
    from gptkit.recipe.check import check_recipe
    from gptkit.storage.trust import read_trusted

    written, found = read_trusted(recipe, overrides or (), plugins or (), trust_plugins=trust_plugins)
    warn_of_failures(found)
    check_recipe(written, found)
    print(f"{recipe}: nothing wrong")


@app.command("show")
def show(
    recipe: RecipeFile,
    overrides: Overrides = None,
    plugins: PluginFiles = None,
    trust_plugins: TrustPlugins = False,
) -> None:
    """Print a recipe with every default filled in, and where each value was written."""
    import tomli_w

    from gptkit.recipe.resolve import resolve
    from gptkit.recipe.values import dotted_key, key_lines
    from gptkit.storage.trust import read_trusted

    written, found = read_trusted(recipe, overrides or (), plugins or (), trust_plugins=trust_plugins)
    resolved = resolve(written, found)
    text = tomli_w.dumps(resolved.document)
    places = {line: resolved.places.get(dotted_key(key)) for key, line in key_lines(text).items()}
    lines = [(line, places.get(number)) for number, line in enumerate(text.splitlines(), 1)]
    width = max(len(line) for line, place in lines if place) + 2
    for line, place in lines:
        print(f"{line:<{width}}# {place}" if place else line)


@app.command("schema")
def schema(plugins: PluginFiles = None) -> None:
    """Print the JSON Schema of recipes, for editors."""
    from gptkit.recipe.json_schema import recipe_schema
    from gptkit.registry.loader import Plugins

    print(json.dumps(recipe_schema(Plugins(plugins or ()).registry), indent=2))
