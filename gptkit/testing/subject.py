"""The part under check: how it is built, and the sizes and options that it supports."""

import inspect
import json
import shlex
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from gptkit.interfaces import Block, BlockParts, Dims, Position
from gptkit.registry.loader import Plugins
from gptkit.registry.registry import Registry, class_location, inherited_kind
from gptkit.registry.signature import Option, options
from gptkit.testing.outcome import DoesNotApply, NotHere, Refusal
from gptkit.testing.stand_in_parts import PLAIN_PARTS, PositionPass

# Head widths: those that kernels often get wrong, and those that they are made for. A part may support only some.
WIDTHS = (1, 2, 3, 4, 5, 7, 8, 16, 33, 32, 64, 128)
HEADS, MANY_HEADS = (1, 2, 3, 6), (8, 12)
# Modules that can be imported only where there is an accelerator.
ACCELERATOR_MODULES = ("triton", "flash_attn", "cupy")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A part under check.

    Args:
        part: Its class.
        options: Its options, besides the positional arguments of its kind.
        name: Its registered name; empty if only its class is known.
        target: Its arguments on the command line of `gptkit check`; None if only its class is known.
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
        return inherited_kind(self.part)

    @property
    def title(self) -> str:
        """Its kind, its name, and where its source is."""
        named = f"{self.kind} {self.name}".strip()
        return f"{named}: {class_location(self.part)}"

    def build(self, *positional: Any, parts: BlockParts = PLAIN_PARTS, **options: Any) -> Any:
        """Return the part as a model would build it; a position is wrapped into a module.

        Args:
            positional: The positional arguments of its kind, such as `dims`.
            parts: What a block builds its parts with.

        Raises:
            Refusal: If the part declares that it does not support this.
            NotHere: If it needs an accelerator and this machine has none.
        """
        given = {**self.options, **options}
        # Any, because each kind has its own positional arguments.
        make: Any = self.part
        try:
            if issubclass(self.part, Block):
                return make(*positional, parts, **given)
            part = make(*positional, **given)
        except ValueError as error:
            raise Refusal(f"it refuses: {error}") from error
        except Exception as error:
            raise missing_accelerator(error) or error from None
        return PositionPass(part, positional[0].n_head) if issubclass(self.part, Position) else part

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Pairs of a number of heads and a head width for which the part can be built."""
        tried = [(H, D) for D in WIDTHS for H in HEADS]
        sizes, refusal = self.buildable(tried)
        if not sizes:
            raise Refusal(f"it can be built for none of the sizes that were tried: {refusal}")
        return sizes

    @cached_property
    def large_sizes(self) -> list[tuple[int, int]]:
        """Pairs of a large number of heads and a narrow width for which the part can be built; may be empty."""
        narrowest = sorted({D for _, D in self.sizes})[:3]
        return self.buildable([(H, D) for D in narrowest for H in MANY_HEADS])[0]

    def buildable(self, sizes: Iterable[tuple[int, int]]) -> tuple[list[tuple[int, int]], str]:
        """Return the sizes that the part does not refuse, and why it refuses the last of the others."""
        accepted, reason = [], ""
        for H, D in sizes:
            try:
                with torch.device("meta"):
                    self.build(dims_of(H, D))
                accepted.append((H, D))
            except NotHere:
                raise
            except DoesNotApply as error:
                reason = error.reason
            # Any other error is left for a check to report.
            except Exception:
                accepted.append((H, D))
        return accepted, reason

    @cached_property
    def variations(self) -> dict[str, list[int]]:
        """Other values to try for boolean and integer options that are not set."""
        found = {}
        for option in options(self.part).values():
            if option.name not in self.options and isinstance(option.default, int):
                values = [True, False] if isinstance(option.default, bool) else [1, 2, 3]
                found[option.name] = [
                    value for value in values if value != option.default and allows(option, value)
                ]
        return found

    def reproducer(self, check: str, case: str) -> str:
        """Return the command, or the Python call, that runs a failed check again.

        Args:
            check: Its id.
            case: The input, as `Input.to_json` returns it.
        """
        if self.target is None:
            given = f", options={dict(self.options)!r}" if self.options else ""
            return f"gptkit.testing.reproduce({self.part.__name__}, {check!r}, {case!r}{given})"
        settings = [
            # A path is a string in a recipe.
            f"--set {shlex.quote(f'{name}={json.dumps(value, default=str)}')}"
            for name, value in self.options.items()
        ]
        device = [] if self.device.type == "cpu" else [f"--device {self.device}"]
        words = ["gptkit check", self.target, *settings, *device, f"--only {check} --case {shlex.quote(case)}"]
        return " ".join(words)


def allows(option: Option, value: int) -> bool:
    """Return whether a recipe may give an option a value."""
    try:
        option.validate(value)
    except ValueError:
        return False
    return True


def dims_of(H: int, D: int, dropout: float = 0.0) -> Dims:
    """Return the sizes of a model with H heads of width D."""
    return Dims(n_layer=1, n_head=H, n_embd=H * D, block_size=64, vocab_size=7, dropout=dropout)


def missing_accelerator(error: Exception) -> NotHere | None:
    """Return a NotHere if a constructor failed because this machine has no accelerator, or None.

    What the error says is no evidence. Either PyTorch's own initialisation of CUDA raised it, or a module for
    accelerators is missing.
    """
    if torch.cuda.is_available():
        return None
    raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    is_missing_module = isinstance(error, ModuleNotFoundError) and error.name in ACCELERATOR_MODULES
    if is_missing_module or raised_in == Path(torch.cuda.__file__):
        return NotHere(f"it needs an accelerator and this machine has none: {' '.join(str(error).split())}")
    return None


def file_of(part: type) -> str:
    """Return the source file of a class, or the empty string."""
    try:
        return inspect.getsourcefile(part) or ""
    except TypeError:
        return ""


# Any, because a type checker does not accept an abstract class such as `Attention` for `type[T]`.
def registered(interface: type, registry: Registry | None = None) -> dict[str, Any]:
    """Return the registered classes that inherit a class, by name.

    Args:
        registry: By default that of the built-in parts and the installed plugins.
    """
    registry = Plugins().registry if registry is None else registry
    return {entry.name: entry.part for entry in registry if issubclass(entry.part, interface)}
