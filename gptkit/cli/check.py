"""`gptkit check`: the contract of a part, of all parts of a plugin file, or of all parts that a recipe chose."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gptkit.cli.options import AsJson, PluginFiles, TrustPlugins

if TYPE_CHECKING:
    import torch

    from gptkit.testing.examine import Examined
    from gptkit.testing.outcome import Outcome
    from gptkit.testing.subject import Subject


def check(
    target: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE.py|RECIPE", help="A part, a plugin file or a recipe.", show_default=False
        ),
    ],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="OPTION=VALUE", help="An option of the part: window=8.")
    ] = None,
    plugins: PluginFiles = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="Where to check: cpu, cuda, cuda:1, mps.")] = "cpu",
    deep: Annotated[bool, typer.Option("--deep", help="Try ten times as many inputs.")] = False,
    seed: Annotated[int, typer.Option(help="What the inputs are drawn from.")] = 0,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CHECK", help="Only this check; may be repeated.")
    ] = None,
    case: Annotated[
        str | None, typer.Option(metavar="JSON", help="This input alone, as the report of a failure gives it.")
    ] = None,
    trust_plugins: TrustPlugins = False,
    as_json: AsJson = False,
) -> None:
    """Prove a part: a line for each promise, held, broken, or why it was not tried."""
    from gptkit.errors import UsageError
    from gptkit.testing.examine import Examined, outcomes
    from gptkit.testing.outcome import DEEP, ORDINARY

    if settings and Path(target).suffix in (".py", ".toml"):
        raise UsageError("--set gives options to one part: gptkit check NAME --plugin FILE --set OPTION=VALUE")
    first, subjects = parts_of(
        target, settings or [], plugins or [], find_device(device), trust_plugins=trust_plugins
    )
    checks = [select(subject, only or []) for subject in subjects]
    if only and not any(checks):
        refuse(only, subjects)
    depth = replace(DEEP if deep else ORDINARY, seed=seed)
    examined = [
        *first,
        *(Examined(s.title, outcomes(s, c, depth, case)) for s, c in zip(subjects, checks, strict=True) if c),
    ]
    if not (print_json if as_json else print_table)(examined):
        raise typer.Exit(1)


def find_device(wanted: str) -> "torch.device":
    """Return the device to check on."""
    from gptkit.errors import UsageError
    from gptkit.tuning.choose_device import choose_device

    try:
        return choose_device(wanted).value
    except ValueError as error:
        raise UsageError(f"--device {wanted}: {error}") from error


def parts_of(
    target: str, settings: list[str], plugins: list[Path], device: "torch.device", *, trust_plugins: bool
) -> "tuple[list[Examined], list[Subject]]":
    """Return what a target names: how it loaded, where it is a plugin file, and its parts."""
    from gptkit.errors import PluginError
    from gptkit.testing.examine import SECONDS, parts_of_file
    from gptkit.testing.guards import TookTooLong, at_most, listening
    from gptkit.testing.targets import parts_called, parts_of_recipe

    if Path(target).suffix == ".py":
        loading, subjects = parts_of_file(Path(target), device)
        return [loading], subjects
    try:
        with at_most(SECONDS, target), listening(target):
            if Path(target).suffix == ".toml":
                return [], parts_of_recipe(Path(target), plugins, device, trust_plugins=trust_plugins)
            return [], parts_called(target, settings, plugins, device)
    except TookTooLong as error:
        raise PluginError(f"{target}: to load its plugins, {error}") from error


def select(subject: "Subject", only: list[str]) -> list[Any]:
    """Return the checks of a part, or of those that were asked for the ones that it has."""
    from gptkit.testing.prove import checks_of

    return [check for check in checks_of(subject) if not only or check.id in only]


def refuse(only: list[str], subjects: "Iterable[Subject]") -> None:
    """Raise UsageError for a check that no part here has."""
    from gptkit.errors import UsageError, did_you_mean
    from gptkit.testing.prove import checks_of

    known = sorted({check.id for subject in subjects for check in checks_of(subject)})
    raise UsageError(
        f"--only {only[0]}: no check is called so.{did_you_mean(only[0], known)} Known: {', '.join(known)}."
    )


def print_table(examined: "list[Examined]") -> bool:
    """Print what comes of each check as soon as it is known; return whether all is well."""
    found: Counter[str] = Counter()
    seconds = 0.0
    for each in examined:
        print(each.title)
        for outcome in each.outcomes:
            print("\n".join(lines_of(outcome)), flush=True)
            found[outcome.verdict] += 1
            seconds += outcome.seconds
    print(
        ", ".join(f"{found[verdict]} {verdict}" for verdict in ("held", "broken", "not run", "not applicable")),
        end="",
    )
    print(f"; {seconds:.1f} s")
    if not found["held"]:
        print("nothing held: that is no proof")
    return is_well(found)


def lines_of(outcome: "Outcome") -> list[str]:
    """Return an outcome as a person reads it."""
    row = f"  {outcome.verdict:<15} {outcome.check:<42}"
    if outcome.verdict == "held":
        inputs = "1 input" if outcome.inputs == 1 else f"{outcome.inputs} inputs"
        return [f"{row} {inputs:>10} {outcome.seconds:>6.1f} s"]
    first, *others = outcome.why.splitlines()
    if outcome.verdict == "broken":
        return [row.rstrip(), *(f"      {line}" for line in (first, *others))]
    return [f"{row} {first}", *(f"      {line}" for line in others)]


def print_json(examined: "list[Examined]") -> bool:
    """Print all outcomes; return whether all is well."""
    told: list[dict[str, Any]] = [
        {"part": each.title, "checks": [fields_of(outcome) for outcome in each.outcomes]} for each in examined
    ]
    print(json.dumps(told, indent=2))
    return is_well(Counter(check["verdict"] for each in told for check in each["checks"]))


def fields_of(outcome: "Outcome") -> dict[str, Any]:
    """Return an outcome in JSON's types."""
    return {
        "check": outcome.check,
        "promise": outcome.promise,
        "verdict": outcome.verdict,
        "why": outcome.why,
        "inputs": outcome.inputs,
        "seconds": round(outcome.seconds, 3),
    }


def is_well(found: "Counter[str]") -> bool:
    """Return whether something was proven and nothing is broken: what was not run proves nothing."""
    return found["held"] > 0 and not found["broken"]
