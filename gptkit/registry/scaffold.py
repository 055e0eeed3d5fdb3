"""What a plugin begins with: the texts of its files, made of the templates under the names that somebody chose."""

import keyword
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import packages_distributions
from importlib.resources import files

from gptkit.errors import UsageError
from gptkit.interfaces import KINDS
from gptkit.registry.registry import AUTO, Registry, describe

# Also a module's name and, with dashes, a distribution's.
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
TEMPLATES = files("gptkit.registry.templates")


@dataclass(frozen=True)
class Draft:
    """A part that nobody has written yet.

    Args:
        name: What recipes are to call it.

    Raises:
        UsageError: If the name cannot be one.
    """

    kind: str
    name: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or keyword.iskeyword(self.name):
            raise UsageError(
                f"'{self.name}' cannot be a part's name: expected lower-case letters, digits and single "
                f"underscores, a letter first, and no keyword of Python.{suggestion(self.name)}"
            )
        # Its own placeholder is no other class: `mine` is a name like any.
        others = set(re.findall(r"\w+", self.template)) - {self.placeholder}
        if self.class_name in others:
            raise UsageError(
                f"'{self.name}' cannot be this part's name: its class would be {self.class_name}, and the file "
                "needs that of gptkit. Choose another"
            )

    @property
    def class_name(self) -> str:
        """What its class is called: the name, and the interface unless the name ends with it."""
        words, interface = "".join(word.capitalize() for word in self.name.split("_")), KINDS[self.kind].__name__
        return words if words.endswith(interface) and words != interface else words + interface

    @property
    def placeholder(self) -> str:
        """What the class is called in the template."""
        return f"Mine{KINDS[self.kind].__name__}"

    @property
    def distribution(self) -> str:
        """What its package is called."""
        return f"gptkit-{self.name.replace('_', '-')}"

    @property
    def module(self) -> str:
        """What its package's module is called."""
        return f"gptkit_{self.name}"

    @cached_property
    def template(self) -> str:
        """The file that it begins as."""
        return TEMPLATES.joinpath(f"{self.kind}.py").read_text(encoding="utf-8")

    def plugin(self) -> dict[str, str]:
        """Return the files of a single-file plugin: the part, and a recipe."""
        return {f"{self.name}.py": self.renamed(self.template), f"{self.name}.toml": self.recipe()}

    def package(self) -> dict[str, str]:
        """Return the files of a package that can be installed."""
        read = TEMPLATES.joinpath("package").joinpath
        rest = {
            "README.md": read("README.md"),
            "pyproject.toml": read("pyproject.toml"),
            "tests/test_contract.py": read("test_contract.py.in"),
        }
        return {
            f"src/{self.module}/__init__.py": self.renamed(self.template),
            # An installed plugin needs no file to be named.
            f"{self.name}.toml": re.sub(r"plugins = .*\n\n", "", self.recipe()),
            **{path: self.renamed(file.read_text(encoding="utf-8")) for path, file in rest.items()},
        }

    def recipe(self) -> str:
        """Return a small recipe that names its file and chooses it."""
        text = self.renamed(TEMPLATES.joinpath("recipe.toml").read_text(encoding="utf-8"))
        text = re.sub(rf"(?m)^{self.kind} = .*", f'{self.kind} = "{self.name}" # the part to try', text)
        # The names are of any length: put the reasons below one another again.
        return re.sub(r"(?m)^(\S.*?) +#", lambda found: f"{found[1]:<40} #", text)

    def renamed(self, text: str) -> str:
        """Return a template with the names that somebody chose."""
        names = {
            "gptkit-mine": self.distribution,
            "gptkit_mine": self.module,
            "test_mine": f"test_{self.name}",
            "mine": self.name,
            self.placeholder: self.class_name,
            "KIND": self.kind.replace("_", "-"),
        }
        return re.sub(rf"\b({'|'.join(names)})\b", lambda found: names[found[0]], text)


def suggestion(name: str) -> str:
    """Return a sentence with the nearest name that can be one, or nothing."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower())
    near = "_".join(words)
    return f" Did you mean '{near}'?" if NAME.fullmatch(near) and not keyword.iskeyword(near) else ""


def check_free(draft: Draft, registry: Registry) -> None:
    """Raise UsageError if somebody offers a part of that kind and name, or nobody may."""
    if draft.name == AUTO:
        raise UsageError(f"'{AUTO}' names no part: in a recipe it asks for the fastest attention. Choose another")
    for entry in registry.of(draft.kind):
        if entry.name == draft.name:
            raise UsageError(
                f"the {entry.kind} name '{entry.name}' is taken: {entry.owner} offers {describe(entry.part)}. "
                "Choose another"
            )


def check_module(name: str) -> None:
    """Raise UsageError if there is a module of that name, which a second one would hide."""
    installed = {"gptkit": ["gptkit"], **packages_distributions()}
    owners = ["Python"] if name in sys.stdlib_module_names else installed.get(name)
    if owners:
        raise UsageError(
            f"'{name}' is a module of {owners[0]} already, and a second one would hide it. Choose another name"
        )
