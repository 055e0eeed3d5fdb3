"""`gptkit recipe`: check a recipe, show it resolved, or print its schema."""

import typer

from gptkit.cli.options import Overrides, PluginFiles, RecipeFile, TrustPlugins

app = typer.Typer(
    help="Check a recipe, show it with everything filled in, or print its schema.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("check")
def check(
    recipe: RecipeFile,
    overrides: Overrides = None,
    plugins: PluginFiles = None,
    trust_plugins: TrustPlugins = False,
) -> None:
    """Say everything that is wrong with a recipe, without reading its data or training."""
    from gptkit.cli.terminal import warn_of_failures
    from gptkit.recipe.check import assembler_of
    from gptkit.storage.trust import read_trusted

    written, found = read_trusted(recipe, overrides or (), plugins or (), trust_plugins=trust_plugins)
    warn_of_failures(found)
    assembler_of(written, found)
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
    from gptkit.recipe.toml_lines import key_lines
    from gptkit.recipe.values import spell
    from gptkit.storage.trust import read_trusted

    written, found = read_trusted(recipe, overrides or (), plugins or (), trust_plugins=trust_plugins)
    resolved = resolve(written, found)
    text = tomli_w.dumps(resolved.document)
    places = {
        line: resolved.places[spell(key)] for key, line in key_lines(text).items() if spell(key) in resolved.places
    }
    lines = [(line, places.get(number)) for number, line in enumerate(text.splitlines(), 1)]
    width = max(len(line) for line, place in lines if place) + 2
    for line, place in lines:
        print(f"{line:<{width}}# {place}" if place else line)


@app.command("schema")
def schema(plugins: PluginFiles = None) -> None:
    """Print the JSON Schema of recipes, for editors."""
    import json

    from gptkit.recipe.json_schema import recipe_schema
    from gptkit.registry.loader import Plugins

    print(json.dumps(recipe_schema(Plugins(plugins or ()).registry), indent=2))
