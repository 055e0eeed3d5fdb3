"""The part that is checked, whoever wrote it: how it is built, and what it can be built for."""

import inspect
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from gptkit.interfaces import KINDS, Block, BlockParts, Dims, Position
from gptkit.registry.loader import Plugins
from gptkit.registry.registry import Registry, describe, kind_of
from gptkit.registry.signature import Option, options
from gptkit.testing.outcome import DoesNotApply, NotHere, Refusal
from gptkit.testing.stand_in_parts import PLAIN_PARTS, PositionPass

# Widths of heads that kernels find hard, and those that they are made for: a part may take only some of them.
WIDTHS = (1, 2, 3, 4, 5, 7, 8, 16, 33, 32, 64, 128)
HEADS = (1, 2, 3, 6)
ACCELERATOR = re.compile(r"\b(cuda|nvidia|triton|rocm|gpu)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A part under check.

    Args:
        part: Its class.
        options: What its constructor is given besides what every part of its kind is handed.
        target: What stands for it on the command line of `gptkit check`; None where only its class is known.
        device: Where it is checked.
    """

    part: type
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    target: str | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def kind(self) -> str:
        """Its kind."""
        return kind_of(self.part)

    @property
    def interface(self) -> type:
        """The interface that it stands behind."""
        return KINDS[self.kind]

    @property
    def title(self) -> str:
        """Its kind, its name, and where it was written."""
        named = f"{self.kind} {self.name}".strip()
        return f"{named}: {describe(self.part)}"

    def build(self, *handed: Any, parts: BlockParts = PLAIN_PARTS, **options: Any) -> Any:
        """Return the part as the model would build it; a position is made a module.

        Args:
            parts: What a block is given to build its parts with; plain ones by default.

        Raises:
            Refusal: If the part declares that it cannot be built for this.
            NotHere: If it needs an accelerator that this machine lacks.
        """
        given = {**self.options, **options}
        # Any, because a class of any kind takes what its kind is handed.
        make: Any = self.part
        try:
            if issubclass(self.part, Block):
                return make(*handed, parts, **given)
            part = make(*handed, **given)
        except ValueError as error:
            raise Refusal(f"it refuses: {error}") from error
        except Exception as error:
            raise missing_accelerator(error) or error from None
        return PositionPass(part, handed[0].n_head) if issubclass(self.part, Position) else part

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Numbers and widths of heads that the part can be built for."""
        sizes, refusal = [], DoesNotApply("")
        for D in WIDTHS:
            for H in HEADS:
                try:
                    with torch.device("meta"):
                        self.build(dims_of(H, D))
                    sizes.append((H, D))
                except DoesNotApply as error:
                    refusal = error
                # Whatever else it raises, a check will show.
                except Exception:
                    sizes.append((H, D))
        if not sizes:
            raise NotHere(f"it can be built for none of the sizes tried: {refusal.reason}")
        return sizes

    @cached_property
    def variations(self) -> dict[str, list[int]]:
        """Values to try of the options that are true or false or small whole numbers, and that nobody set."""
        found = {}
        for option in options(self.part).values():
            if option.name not in self.options and isinstance(option.default, int):
                values = [True, False] if isinstance(option.default, bool) else [1, 2, 3]
                found[option.name] = [
                    value for value in values if value != option.default and allows(option, value)
                ]
        return found

    def again(self, check: str, case: str) -> str:
        """Return what a person types to see a check fail again.

        Args:
            case: The input, as `Case.to_json` gives it.
        """
        if self.target is None:
            given = f", options={dict(self.options)!r}" if self.options else ""
            return f"gptkit.testing.reproduce({self.part.__name__}, {check!r}, {case!r}{given})"
        settings = [f"--set {shlex.quote(f'{name}={json.dumps(value)}')}" for name, value in self.options.items()]
        device = [] if self.device.type == "cpu" else [f"--device {self.device}"]
        words = ["gptkit check", self.target, *settings, *device, f"--only {check} --case {shlex.quote(case)}"]
        return " ".join(words)


def allows(option: Option, value: int) -> bool:
    """Return whether a recipe could give an option a value."""
    try:
        option.validate(value)
    except ValueError:
        return False
    return True


def dims_of(H: int, D: int, dropout: float = 0.0) -> Dims:
    """Return sizes of a model with some heads of a width."""
    return Dims(n_layer=1, n_head=H, n_embd=H * D, block_size=64, vocab_size=7, dropout=dropout)


def missing_accelerator(error: BaseException) -> NotHere | None:
    """Return what to say of an error that only an accelerator's absence explains, or None."""
    if torch.cuda.is_available() or not ACCELERATOR.search(str(error)):
        return None
    return NotHere(f"it needs an accelerator, and there is none here: {' '.join(str(error).split())}")


def file_of(part: type) -> str:
    """Return the file in which a class was written."""
    try:
        return inspect.getsourcefile(part) or ""
    except TypeError:
        return ""


# Any, because no annotation takes an abstract class such as `Attention` and gives its subclasses.
def registered(interface: type, registry: Registry | None = None) -> dict[str, Any]:
    """Return the registered classes that inherit a class, by name.

    Args:
        registry: Where to look; that of the built-in parts and the installed plugins by default.
    """
    registry = Plugins().registry if registry is None else registry
    return {entry.name: entry.part for entry in registry if issubclass(entry.part, interface)}
