"""`gptkit new`: the files of a plugin to start from."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from gptkit.cli.options import Kind, check_kind
from gptkit.errors import UsageError


def new(
    kind: Kind,
    name: Annotated[str, typer.Argument(help="What recipes are to call the part.", show_default=False)],
    package: Annotated[bool, typer.Option("--package", help="Write a package that pip can install.")] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to.")] = Path(),
) -> None:
    """Write a part of one kind to start from, which works as it is, and a small recipe that trains with it."""
    from gptkit.cli.terminal import warn_of_failures
    from gptkit.registry.loader import Plugins
    from gptkit.registry.scaffold import Draft, check_free, check_module

    check_kind(kind)
    draft = Draft(kind, name)
    found = Plugins()
    warn_of_failures(found)
    check_free(draft, found.registry)
    if package:
        check_module(draft.module)
        folder, texts, again = out / draft.distribution, draft.package(), name
    else:
        check_module(name)
        folder, texts, again = out, draft.plugin(), str(out / f"{name}.py")
    write(texts, folder)
    print("\n".join(f"wrote {folder / path}" for path in texts))
    install = f"pip install -e {shlex.quote(f'{folder}[dev]')} && " if package else ""
    print(f"\n{draft.class_name} works as it is; its docstring says what to change. Next:")
    print(f"  {install}gptkit check {shlex.quote(again)}")
    print(f"  gptkit run {shlex.quote(str(folder / f'{name}.toml'))}")


def write(texts: Mapping[str, str], directory: Path) -> None:
    """Write new files, none of them if one is there already.

    Args:
        texts: What each holds, by its path in the directory.

    Raises:
        UsageError: If one of them is there already or cannot be written.
    """
    paths = {directory / path: text for path, text in texts.items()}
    for path in paths:
        if os.path.lexists(path):
            raise UsageError(f"{path} is there already, and nothing is overwritten. Choose another name or --out")
    for path, text in paths.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not "w": what has come into being since must not be overwritten either.
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
