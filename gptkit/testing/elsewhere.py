"""Another time, process, environment and random state, and a place without files: there a part does the same."""

import builtins
import datetime
import io
import operator
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any
from unittest import mock

import torch
from torch import nn


def time_until_another_date(now: datetime.datetime) -> datetime.timedelta:
    """Return half a year and some days, after which hour, day of the month, weekday and month are all others."""

    def parts(date: datetime.datetime) -> tuple[int, ...]:
        return date.hour, date.day, date.weekday(), date.month

    later = (datetime.timedelta(days=days, hours=5) for days in range(180, 200))
    return next(by for by in later if all(map(operator.ne, parts(now), parts(now + by))))


LATER = time_until_another_date(datetime.datetime.now(tz=datetime.UTC))
CLOCKS = {name: LATER.total_seconds() for name in ("time", "monotonic", "perf_counter")}
CLOCKS_NS = {f"{name}_ns": int(seconds * 1e9) for name, seconds in CLOCKS.items()}
# Of an environment variable that is not set: a switch that is on, and another number than 1.
VALUES = ("1", "7")


class LaterDatetime(datetime.datetime):
    """A `datetime` whose clock is half a year ahead."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "LaterDatetime":
        """Return a time half a year from now."""
        return super().now(tz) + LATER


class OtherEnvironment(dict[str, str]):
    """An environment in which some files find each variable that is set missing, and each missing one set.

    Args:
        files: Names of those files; code in others, such as PyTorch's, finds the true values.
        value: What they read of a missing one.
    """

    def __init__(self, files: set[str], value: str) -> None:
        super().__init__(os.environ)
        self.files, self.value = files, value

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) != self.is_read_by_a_part()

    def __getitem__(self, name: str) -> str:
        if not self.is_read_by_a_part():
            return super().__getitem__(name)
        if super().__contains__(name):
            raise KeyError(name)
        return self.value

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a variable, or a default."""
        try:
            return self[name]
        except KeyError:
            return default

    def is_read_by_a_part(self) -> bool:
        """Return whether the line that reads a variable is in one of the files."""
        frame = sys._getframe(1)
        while frame.f_back is not None and is_between(frame):
            frame = frame.f_back
        return frame.f_code.co_filename in self.files


def is_between(frame: FrameType) -> bool:
    """Return whether a frame is of this file, of `os`, or of what checks annotations at run time."""
    owner = str(frame.f_globals.get("__name__"))
    return owner in (__name__, "os") or owner.startswith(("jaxtyping", "beartype"))


@contextmanager
def elsewhere(*parts: object, number: int = 0, environment: bool = True) -> Iterator[None]:
    """Change what clocks, the process, the environment and all random states say, in the parts' own modules too.

    Args:
        number: Chooses among several such places.
        environment: Whether to change the environment, which may say where files are.
    """
    modules = modules_of(parts)
    files = {module.__file__ for module in modules if module.__file__}
    other: dict[tuple[ModuleType, str], Any] = {
        **{(time, name): ahead(getattr(time, name), by) for name, by in (CLOCKS | CLOCKS_NS).items()},
        (datetime, "datetime"): LaterDatetime,
        **{(os, name): ahead(getattr(os, name), 1 + number) for name in ("getpid", "getppid")},
    }
    if environment:
        other[os, "environ"] = OtherEnvironment(files, VALUES[number % len(VALUES)])
    with ExitStack() as stack:
        stack.enter_context(other_random_states(number))
        # A module may have imported a clock by name.
        for (owner, name), new in list(other.items()):
            old = getattr(owner, name)
            other |= {(module, key): new for module in modules for key, at in vars(module).items() if at is old}
        for (owner, name), new in other.items():
            stack.enter_context(mock.patch.object(owner, name, new))
        yield


def ahead(number: Callable[[], Any], by: int | float) -> Callable[[], Any]:
    """Return a clock, or another source of a number, that is ahead."""
    return lambda: number() + by


def modules_of(parts: Iterable[object]) -> list[ModuleType]:
    """Return the modules in which the classes of parts, and of the layers inside them, are defined."""
    layers = [layer for part in parts for layer in (part.modules() if isinstance(part, nn.Module) else [part])]
    names = {each.__module__ for layer in layers for each in type(layer).__mro__}
    return [sys.modules[name] for name in names if name.partition(".")[0] not in ("torch", "builtins", "abc")]


@contextmanager
def other_random_states(number: int) -> Iterator[None]:
    """Change the random states of Python, NumPy and PyTorch, and put them back."""
    before, numpy, torch_before = random.getstate(), sys.modules.get("numpy"), torch.random.get_rng_state()
    numpy_before = None if numpy is None else numpy.random.get_state()
    try:
        random.seed(number)
        # The state holds how many numbers were drawn, too.
        random.random()
        torch.default_generator.manual_seed(number)
        if numpy is not None:
            numpy.random.seed(number)
        yield
    finally:
        random.setstate(before)
        torch.random.set_rng_state(torch_before)
        if numpy is not None:
            numpy.random.set_state(numpy_before)


@contextmanager
def without_files(part: type) -> Iterator[None]:
    """Make every file missing except those of Python and of packages, which are installed with a part's code."""
    package = sys.modules[part.__module__].__package__
    top = sys.modules[package.partition(".")[0]] if package else None
    installed = [sys.prefix, sys.base_prefix, *(top.__path__ if top is not None else ())]

    def guarded(opens: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, *args: Any, **named: Any) -> Any:
            if isinstance(file, int) or any(Path(os.fsdecode(file)).is_relative_to(root) for root in installed):
                return opens(file, *args, **named)
            raise FileNotFoundError(f"{os.fsdecode(file)!r} may be gone when a run is resumed")

        return opened

    with mock.patch.object(io, "open", guarded(io.open)), mock.patch.object(builtins, "open", guarded(open)):
        yield
