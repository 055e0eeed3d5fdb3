"""Finds plugins, loads each one apart from the others, and lets it register its parts."""

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from gptkit import components, hookspecs
from gptkit.errors import PluginError, Problem, RecipeError
from gptkit.registry.blame import format_error
from gptkit.registry.registry import Entry, Registry
from gptkit.version import __version__

ENTRY_POINT_GROUP = "gptkit"
# The modules of the built-in parts, each a plugin.
BUILT_INS = tuple(sorted(getattr(components, name).__module__ for name in components.__all__))


@dataclass(frozen=True)
class Plugin:
    """One plugin: where it was found, and the parts or the failure that loading it gave."""

    name: str
    version: str
    origin: str
    parts: tuple[Entry, ...] = ()
    failure: str | None = None

    @property
    def title(self) -> str:
        """Its name and version."""
        return f"{self.name} {self.version}".strip()


class Plugins:
    """The built-in parts, the installed plugins and plugin files.

    Args:
        files: Plugin files that a recipe or the command line names.

    Raises:
        RecipeError: If a named file does not exist.
        PluginError: If a named file does not load. An installed plugin that does not load is only listed in
            `failed`: a recipe that does not use it still runs.
    """

    def __init__(self, files: Sequence[Path] = ()) -> None:
        self.registry = Registry()
        self.loaded: list[Plugin] = []
        self.failed: list[Plugin] = []
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        for module in BUILT_INS:
            self._load(module, __version__, "built in", partial(importlib.import_module, module), required=True)
        for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
            version = (point.dist.version if point.dist else None) or ""
            self._load(point.name, version, f"entry point {point.value}", point.load)
        self.files = list(dict.fromkeys(file.resolve() for file in files))
        for file in self.files:
            check_file(file)
            self._load(file.name, "", str(file), partial(import_file, file), required=True)

    def _load(
        self, name: str, version: str, origin: str, load: Callable[[], object], *, required: bool = False
    ) -> None:
        """Load a plugin, register its parts, and list it in `loaded`, or in `failed` if it is not required."""
        try:
            parts = self.registry.add_all(self.offers(name, origin, load()), owner=name)
            self.loaded.append(Plugin(name, version, origin, parts))
        # A third-party module may raise anything or call `sys.exit`; neither may end this command.
        except (Exception, SystemExit) as error:
            plugin = Plugin(name, version, origin, failure=format_error(error))
            if required:
                raise PluginError(f"plugin {plugin.title} ({origin}) does not load: {plugin.failure}") from error
            self.failed.append(plugin)

    def offers(self, name: str, origin: str, module: object) -> list[tuple[Any, Any]]:
        """Return the names and parts that one plugin offers, without registering them.

        Raises:
            PluginError: If it implements no hook, or one that gptkit does not have.
        """
        self._manager.register(module, f"{name} ({origin})")
        staged: list[tuple[Any, Any]] = []
        try:
            self._manager.check_pending()
            # Call this plugin's hook alone, so that the owner is known and one failure affects one plugin.
            others = [plugin for plugin in self._manager.get_plugins() if plugin is not module]
            hook = self._manager.subset_hook_caller("gptkit_register", others)
            if not hook.get_hookimpls():
                raise PluginError(
                    "it offers nothing: mark a function gptkit_register(register) with @gptkit.hookimpl"
                )
            hook(register=lambda name, part: staged.append((name, part)))
        except BaseException:
            self._manager.unregister(module)
            raise
        return staged

    def failures(self) -> str:
        """Return a sentence that names the failed plugins, for messages about a missing part, or nothing."""
        names = "; ".join(f"{plugin.title}: {plugin.failure}" for plugin in self.failed)
        return f" Plugins that did not load, and may offer it: {names}." if names else ""


def check_file(file: Path) -> None:
    """Raise RecipeError if a plugin file does not exist."""
    with suppress(OSError):  # raised for a name that no file can have
        if file.is_file():
            return
    raise RecipeError([Problem(str(file), "plugins", "no such plugin file")])


def import_file(file: Path) -> ModuleType:
    """Import a file as a module; its directory is not put on the import path."""
    # Files of the same name in different directories are different modules.
    name = f"gptkit_plugin_{file.stem}_{sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError("it is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
