"""The recipes that come with gptkit, found by name from any directory."""

import os
import re
from pathlib import Path

import tomli

from gptkit.errors import Problem, RecipeError, did_you_mean


def shipped_recipes() -> dict[str, Path]:
    """Return the file of each shipped recipe, by name."""
    # In an installed wheel, or else in the repository.
    in_wheel, in_repository = (directory / "recipes" for directory in Path(__file__).parents[1:3])
    directory = in_wheel if in_wheel.is_dir() else in_repository
    return {file.stem: file for file in sorted(directory.glob("*.toml"))}


def find_recipe(recipe: str | Path) -> Path:
    """Return the file of a recipe that is given by its path or, if it is shipped, by its name.

    A file of that name comes first. A directory does not: it may be a run of the recipe, named after it.

    Raises:
        RecipeError: If it is neither a path nor the name of a shipped recipe.
    """
    path, shipped = Path(recipe), shipped_recipes()
    if (str(path) not in shipped or path.is_file()) and (path.suffix == ".toml" or os.path.lexists(path)):
        return path
    return shipped_recipe(str(path))


def shipped_recipe(name: str) -> Path:
    """Return the file of a shipped recipe, or raise RecipeError if none has that name."""
    known = shipped_recipes()
    if name not in known:
        message = f"no recipe is called '{name}'.{did_you_mean(name, known)} Known: {', '.join(known)}."
        raise RecipeError([Problem("recipe", "", message)])
    return known[name]


def copied_files(name: str, file_name: str) -> dict[str, str]:
    """Return the texts of a shipped recipe, its bases and their plugin files by name, to lie in one directory.

    Args:
        file_name: What the copy of the recipe itself is called; the other files keep their names.

    Raises:
        RecipeError: If no shipped recipe has that name, or a base of it is called as the copy.
    """
    texts: dict[str, str] = {}
    path: Path | None = shipped_recipe(name)
    while path:
        if texts and path.name == file_name:
            message = f"'{name}' is based on {path.name}, so its copy needs another name"
            raise RecipeError([Problem("recipe", "", message)])
        text = path.read_text(encoding="utf-8")
        table = tomli.loads(text)
        # The spaces keep the reasons at the ends of the lines below one another.
        texts[file_name if not texts else path.name] = re.sub(r'"\.\./plugins/(.+?)"\]', rf'"\1"]{"":11}', text)
        for plugin in table.get("plugins", ()):
            texts[Path(plugin).name] = (path.parent / plugin).read_text(encoding="utf-8")
        path = path.parent / table["base"] if "base" in table else None
    return texts
