"""Prints which check catches which broken part: `python -m tests.testing.kill_matrix`."""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator, Sequence

import torch

from gptkit.interfaces import KINDS
from gptkit.testing.check import Check
from gptkit.testing.outcome import Depth
from gptkit.testing.prove import checks_of, prove
from gptkit.testing.subject import Subject
from tests.testing import broken_graphs
from tests.testing.mutants import CAUGHT_BY

# Held, broken, and not tried.
MARKS = {"held": ".", "broken": "K", "not applicable": " ", "not run": " "}
# Each takes seconds, so only the parts made for them are tried.
COMPILING = ("compiles_to_one_graph", "compiled_equals_eager", "compiles_for_any_length", "decoding_compiles_once")


def mark(check: Check, subject: Subject, depth: Depth) -> str:
    """Return what comes of a check."""
    if check.id in COMPILING and subject.part not in broken_graphs.CAUGHT_BY:
        return " "
    return MARKS[prove(check, subject, depth).verdict]


def parts_of(kind: str) -> list[type]:
    """Return the broken parts of a kind."""
    return [part for part in CAUGHT_BY if Subject(part=part).kind == kind]


def table(kind: str, parts: Sequence[type], depth: Depth) -> Iterator[str]:
    """Yield the lines of a kind's table: the checks by number, then a row for each part."""
    checks = checks_of(Subject(part=parts[0]))
    yield f"{kind}: {len(parts)} broken parts, {len(checks)} checks"
    yield from (f"  {number:2} {check.id}" for number, check in enumerate(checks, start=1))
    width = max(len(part.__name__) for part in parts)
    for digits in zip(*(f"{number:2}" for number in range(1, len(checks) + 1)), strict=True):
        yield f"  {'':{width}}  {''.join(digits)}"
    lives = 0
    for part in parts:
        marks = "".join(mark(check, Subject(part=part), depth) for check in checks)
        lives += "K" not in marks
        yield f"  {part.__name__:{width}}  {marks}{'' if 'K' in marks else '  lives'}"
    yield f"  {len(parts) - lives} of {len(parts)} are caught\n"


def main() -> None:
    """Print a table for each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=50, help="how many inputs an ordinary check is tried on")
    parser.add_argument("--kind", choices=KINDS, action="append", help="one kind alone; may be given again")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    began = time.perf_counter()
    for kind in chosen.kind or KINDS:
        for line in table(kind, parts_of(kind), Depth(inputs=chosen.inputs, shrink=False)):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    sys.stdout.write(f"K caught, . not caught, blank not tried. {time.perf_counter() - began:.0f} s\n")


if __name__ == "__main__":
    main()
