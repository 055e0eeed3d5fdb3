"""Prints what `gptkit check` found: a table that grows with each outcome, or JSON."""

import json
import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gptkit.testing.examine import Examined
    from gptkit.testing.outcome import Outcome


def print_table(examined: "list[Examined]") -> list[bool]:
    """Print each outcome as soon as it is known; return whether each part is proven."""
    from gptkit.testing.outcome import why_no_proof

    found: Counter[str] = Counter()
    began, unproven = time.perf_counter(), []
    for each in examined:
        print(each.title)
        outcomes: list[Outcome] = []
        causes: dict[str, str] = {}
        for outcome in each.outcomes:
            earlier = causes.setdefault(outcome.cause, outcome.check) if outcome.cause else outcome.check
            print("\n".join(format_outcome(outcome, earlier)), flush=True)
            outcomes.append(outcome)
        found.update(outcome.verdict for outcome in outcomes)
        unproven.append(why_no_proof(outcomes))
    shown = ("held", "broken", *(["expected"] if found["expected"] else []), "not run", "not applicable")
    print(f"{', '.join(f'{found[verdict]} {verdict}' for verdict in shown)}; {time.perf_counter() - began:.1f} s")
    for each, why in zip(examined, unproven, strict=True):
        if why:
            print(f"no proof of {each.title.partition(':')[0]}: {why}")
    return [not why for why in unproven]


def format_outcome(outcome: "Outcome", earlier: str) -> list[str]:
    """Return the lines of one check's outcome.

    Args:
        earlier: The first check that is broken for the same cause.
    """
    row = f"  {outcome.verdict:<15} {outcome.check:<42}"
    if outcome.verdict == "held":
        inputs = "1 input" if outcome.inputs == 1 else f"{outcome.inputs} inputs"
        refused = f"  {outcome.refused} refused" if outcome.refused else ""
        tolerance = f"  within {outcome.tolerance:g}, as it declares" if outcome.tolerance else ""
        return [f"{row} {inputs:>10} {outcome.seconds:>6.1f} s{tolerance}{refused}"]
    if outcome.verdict == "broken" and earlier != outcome.check:
        return [f"{row} as {earlier}: {outcome.cause}"]
    first, *others = outcome.why.splitlines()
    if outcome.verdict == "broken":
        return [row.rstrip(), *(f"      {line}" for line in (first, *others))]
    return [f"{row} {first}", *(f"      {line}" for line in others)]


def print_json(examined: "list[Examined]") -> list[bool]:
    """Print all outcomes as JSON; return whether each part is proven."""
    from gptkit.testing.outcome import why_no_proof

    names = ("check", "promise", "verdict", "why", "inputs", "refused", "tolerance")
    report = []
    for each in examined:
        outcomes = list(each.outcomes)
        checks = [
            {name: getattr(outcome, name) for name in names} | {"seconds": round(outcome.seconds, 3)}
            for outcome in outcomes
        ]
        report.append({"part": each.title, "no proof": why_no_proof(outcomes), "checks": checks})
    print(json.dumps(report, indent=2))
    return [not part["no proof"] for part in report]
