"""Makes the files of a new plugin from the templates, with the names that the author chose."""

import keyword
import re
import sys
from importlib.metadata import packages_distributions
from importlib.resources import files

from gptkit.errors import UsageError
from gptkit.interfaces import KINDS
from gptkit.registry.registry import AUTO, Registry, name_is_taken

# Also used as a module name and, with dashes, as a distribution name.
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
TEMPLATES = files("gptkit.registry.templates")


class Draft:
    """A part that is yet to be written, with the names of its class, its distribution and its module.

    Args:
        name: Its name in recipes.

    Raises:
        UsageError: If the name is not valid.
    """

    def __init__(self, kind: str, name: str) -> None:
        if not NAME.fullmatch(name) or keyword.iskeyword(name):
            raise UsageError(
                f"'{name}' cannot be a part's name: expected lower-case letters, digits and single "
                f"underscores, a letter first, and no keyword of Python.{suggestion(name)}"
            )
        self.kind, self.name = kind, name
        words, interface = "".join(word.capitalize() for word in name.split("_")), KINDS[kind].__name__
        self.class_name = words if words.endswith(interface) and words != interface else words + interface
        self.distribution = f"gptkit-{name.replace('_', '-')}"
        self.module = f"gptkit_{name}"
        self.template = TEMPLATES.joinpath(f"{kind}.py").read_text(encoding="utf-8")
        placeholder = f"Mine{interface}"
        # Its own placeholder does not count: `mine` is a valid name.
        if self.class_name in set(re.findall(r"\w+", self.template)) - {placeholder}:
            raise UsageError(
                f"'{name}' cannot be this part's name: its class would be {self.class_name}, and the file "
                "needs that of gptkit. Choose another"
            )
        self.names = {
            "gptkit-mine": self.distribution,
            "gptkit_mine": self.module,
            "test_mine": f"test_{name}",
            "mine": name,
            placeholder: self.class_name,
            "KIND": kind.replace("_", "-"),
        }

    def plugin(self) -> dict[str, str]:
        """Return the files of a single-file plugin by path: the part and a recipe."""
        return {f"{self.name}.py": self.filled(f"{self.kind}.py"), f"{self.name}.toml": self.recipe()}

    def package(self) -> dict[str, str]:
        """Return the files of an installable package, by path."""
        return {
            f"src/{self.module}/__init__.py": self.filled(f"{self.kind}.py"),
            # An installed plugin is found without naming its file.
            f"{self.name}.toml": re.sub(r"plugins = .*\n\n", "", self.recipe()),
            "README.md": self.filled("package/README.md"),
            "pyproject.toml": self.filled("package/pyproject.toml"),
            "tests/test_contract.py": self.filled("package/test_contract.py.in"),
        }

    def recipe(self) -> str:
        """Return a small recipe that loads its file and uses it."""
        text = re.sub(
            rf"(?m)^{self.kind} = .*", f'{self.kind} = "{self.name}" # the part to try', self.filled("recipe.toml")
        )
        # Names differ in length, so align the comments again.
        return re.sub(r"(?m)^(\S.*?) +#", lambda found: f"{found[1]:<40} #", text)

    def filled(self, template: str) -> str:
        """Return the text of a template with the author's names in it."""
        text = TEMPLATES.joinpath(template).read_text(encoding="utf-8")
        return re.sub(rf"\b({'|'.join(self.names)})\b", lambda found: self.names[found[0]], text)


def suggestion(name: str) -> str:
    """Return a sentence with the nearest valid name, or nothing."""
    near = "_".join(re.findall(r"[a-z0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()))
    return f" Did you mean '{near}'?" if NAME.fullmatch(near) and not keyword.iskeyword(near) else ""


def check_free(draft: Draft, registry: Registry) -> None:
    """Raise UsageError if the name is reserved, or a part of that kind has it."""
    if draft.name == AUTO:
        raise UsageError(f"'{AUTO}' names no part: in a recipe it asks for the fastest attention. Choose another")
    for entry in registry.of(draft.kind):
        if entry.name == draft.name:
            raise UsageError(f"{name_is_taken(entry)}. Choose another")


def check_module(name: str) -> None:
    """Raise UsageError if a module has that name, because a second one would hide it."""
    installed = {"gptkit": ["gptkit"], **packages_distributions()}
    owners = ["Python"] if name in sys.stdlib_module_names else installed.get(name)
    if owners:
        raise UsageError(
            f"'{name}' is a module of {owners[0]} already, and a second one would hide it. Choose another name"
        )
