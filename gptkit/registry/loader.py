"""Finds plugins, loads each one apart from the others, and lets it register its parts."""

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from gptkit import hookspecs
from gptkit.errors import PluginError, Problem, RecipeError
from gptkit.registry.blame import explain
from gptkit.registry.built_ins import BUILT_INS
from gptkit.registry.registry import Entry, Registry
from gptkit.version import __version__

ENTRY_POINT_GROUP = "gptkit"


@dataclass(frozen=True)
class Plugin:
    """One plugin that was found: where, and what came of loading it."""

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
    """The built-in parts, the installed plugins and those in the files that somebody named.

    Args:
        files: Plugin files that a recipe or the command line names.

    Raises:
        RecipeError: If a named file is not there.
        PluginError: If a named file does not load. An installed plugin that does not is only listed in
            `failed`, because nobody asked for it: a recipe that needs nothing from it still runs.
    """

    def __init__(self, files: Sequence[Path] = ()) -> None:
        self.registry = Registry()
        self.loaded: list[Plugin] = []
        self.failed: list[Plugin] = []
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        for module in BUILT_INS:
            self._require(module, __version__, "built in", partial(importlib.import_module, module))
        for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
            version = (point.dist.version if point.dist else None) or ""
            self._load(point.name, version, f"entry point {point.value}", point.load)
        self.files = list(dict.fromkeys(file.resolve() for file in files))
        for file in self.files:
            if not is_file(file):
                raise RecipeError([Problem(str(file), "plugins", "no such plugin file")])
            self._require(file.name, "", str(file), partial(import_file, file))

    def _require(self, name: str, version: str, origin: str, load: Callable[[], object]) -> None:
        """Load a plugin, or raise what kept it from loading."""
        plugin = self._load(name, version, origin, load)
        if plugin.failure:
            raise PluginError(f"plugin {plugin.title} ({origin}) does not load: {plugin.failure}")

    def _load(self, name: str, version: str, origin: str, load: Callable[[], object]) -> Plugin:
        """Load a plugin and let it register; list it with what came of that."""
        try:
            parts = self.registry.add_all(self.offers(name, origin, load()), owner=name)
        # A stranger's module may raise anything, and `sys.exit` too; none of it may end this command.
        except (Exception, SystemExit) as error:
            plugin = Plugin(name, version, origin, failure=explain(error))
            self.failed.append(plugin)
        else:
            plugin = Plugin(name, version, origin, parts)
            self.loaded.append(plugin)
        return plugin

    def offers(self, name: str, origin: str, module: object) -> list[tuple[Any, Any]]:
        """Return what one plugin offers by name, before any of it is registered.

        Raises:
            PluginError: If it has no hook, or marks one that there is not.
        """
        self._manager.register(module, f"{name} ({origin})")
        staged: list[tuple[Any, Any]] = []
        try:
            self._manager.check_pending()
            # The hook of this plugin alone, so that an owner is known and one failure stays one plugin's.
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
        """Return a sentence that names the plugins that failed, for whoever misses a part; or nothing."""
        if not self.failed:
            return ""
        names = "; ".join(f"{plugin.title}: {plugin.failure}" for plugin in self.failed)
        return f" Plugins that did not load, and may offer it: {names}."


def is_file(file: Path) -> bool:
    """Return whether there is such a file; a name that no file can have is none."""
    try:
        return file.is_file()
    except OSError:
        return False


def import_file(file: Path) -> ModuleType:
    """Return a file as a module of its own name, without looking for other files beside it."""
    # Two files of one name are two modules.
    name = f"gptkit_plugin_{file.stem}_{sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError("it is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
