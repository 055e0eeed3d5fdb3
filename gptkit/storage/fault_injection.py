"""Faults on purpose, for tests: `GPTKIT_FAULT="kill@save:3"`. Inert unless that variable is set.

A fault is `ACTION@PLACE:NUMBER`, several are separated by commas: what happens, where, and at which call, counted
from 1. Actions are `kill` (SIGKILL), `interrupt` (SIGINT), `terminate` (SIGTERM) and the name of a system error,
such as `EIO`. Places are the operations on files (`open`, `write`, `fsync`, `mkdir`, `rename`,
`remove`) and the phases of a run (`setup`, `step`, `evaluate`, `sample`, `save`, `point`, `retain`); an operation
counts for its phase too, and as `save.fsync`.
"""

import errno
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gptkit.errors import UsageError

VARIABLE = "GPTKIT_FAULT"
SIGNALS = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT, "terminate": signal.SIGTERM}
# How often each place was reached in this process; tests read it to enumerate the faults.
reached: Counter[str] = Counter()
_phase = threading.local()


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Count the operations in the context as those of a phase, and its end as one more place to fail."""
    outer = getattr(_phase, "name", None)
    _phase.name = name
    try:
        yield
        reach("end")
    finally:
        _phase.name = outer


def reach(place: str) -> None:
    """Count the arrival at a place, and cause the fault that `GPTKIT_FAULT` asks for there.

    Raises:
        OSError: If it asks for a system error.
        UsageError: If the variable cannot be parsed.
    """
    current = getattr(_phase, "name", None)
    places = {place, current, f"{current}.{place}"} if current else {place}
    reached.update(places)
    for fault in filter(None, os.environ.get(VARIABLE, "").split(",")):
        action, where, number = parse(fault)
        if where in places and reached[where] == number:
            cause(action, fault)


def parse(fault: str) -> tuple[str, str, int]:
    """Return the action, the place and the number of a fault."""
    action, _, where = fault.partition("@")
    place, _, number = where.partition(":")
    known = action in SIGNALS or hasattr(errno, action)
    if not (known and place and number.isascii() and number.isdecimal()):
        actions = f"{', '.join(SIGNALS)} or an error such as EIO"
        raise UsageError(f"{VARIABLE}={fault}: expected ACTION@PLACE:NUMBER, with an action of {actions}")
    return action, place, int(number)


def cause(action: str, fault: str) -> None:
    """Raise the error or send the signal."""
    if action in SIGNALS:
        os.kill(os.getpid(), SIGNALS[action])
    else:
        raise OSError(getattr(errno, action), f"{os.strerror(getattr(errno, action))} ({VARIABLE}={fault})")
