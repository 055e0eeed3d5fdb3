"""`gptkit new`: writes the files of a new plugin."""

import os
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import typer

from gptkit.cli.options import Kind, check_kind
from gptkit.cli.terminal import warn_of_failures
from gptkit.errors import UsageError


def new(
    kind: Kind,
    name: Annotated[str, typer.Argument(help="What recipes are to call the part.", show_default=False)],
    package: Annotated[bool, typer.Option("--package", help="Write a package that pip can install.")] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to.")] = Path(),
) -> None:
    """Write a new part that works as it is, and a small recipe that trains with it."""
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
    write_new_files(texts, folder)
    install = f"pip install -e {shlex.quote(f'{folder}[dev]')} && " if package else ""
    print(f"\n{draft.class_name} works as it is; its docstring says what to change. Next:")
    print(f"  {install}gptkit check {shlex.quote(again)}")
    print(f"  gptkit run {shlex.quote(str(folder / f'{name}.toml'))}")


def write_new_files(texts: Mapping[str, str], directory: Path, *, keep_equal: Collection[str] = ()) -> None:
    """Write new files and print their paths; write none of them if one is there already.

    Args:
        texts: The text of each, by its path in the directory.
        keep_equal: Those that may be there already, with the same text.

    Raises:
        UsageError: If one of them is there already or cannot be written.
    """
    paths = {}
    for name, text in texts.items():
        path = directory / name
        if name in keep_equal and path.is_file() and path.read_bytes() == text.encode():
            continue
        if os.path.lexists(path):
            raise UsageError(f"{path} is there already, and nothing is overwritten. Choose another name or --out")
        paths[path] = text
    for path, text in paths.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not "w": a file that has been created since the check must not be overwritten either.
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    print("\n".join(f"wrote {path}" for path in paths))
