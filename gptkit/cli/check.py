"""`gptkit check`: proves a part, all parts of a plugin file, or all parts that a recipe names."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gptkit.cli.check_report import print_json, print_table
from gptkit.cli.options import AsJson, PluginFiles, TrustPlugins
from gptkit.errors import PluginError, UsageError, did_you_mean

if TYPE_CHECKING:
    import torch

    from gptkit.testing.examine import Examined
    from gptkit.testing.subject import Subject

# Checks that run at once: with more, the longest of them, a compilation, is what is waited for.
MOST_PROCESSES = 8


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
    device: Annotated[str, typer.Option(metavar="DEVICE", help="Device to check on: cpu, cuda:1, mps.")] = "cpu",
    deep: Annotated[bool, typer.Option("--deep", help="Try ten times as many inputs.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the inputs.")] = 0,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CHECK", help="Run only this check; may be repeated.")
    ] = None,
    expected: Annotated[
        list[str] | None,
        typer.Option(
            "--expect-failure",
            metavar="CHECK=REASON",
            help="Let this check fail, for a reason; an error if it holds. May be repeated.",
        ),
    ] = None,
    case: Annotated[
        str | None, typer.Option(metavar="JSON", help="Run on this input only, as printed with a failure.")
    ] = None,
    trust_plugins: TrustPlugins = False,
    as_json: AsJson = False,
) -> None:
    """Prove a part: one line for each of its promises.

    A promise is held, broken, or was not tried for the reason that is printed.
    """
    import torch

    from gptkit.testing.examine import Examined, outcomes
    from gptkit.testing.outcome import DEEP, ORDINARY, as_expected
    from gptkit.testing.prove import checks_of
    from gptkit.tuning.machine import choose_device
    from gptkit.tuning.threads import usable_cpus

    # Inputs are small: threads would wait for one another, on a busy machine for seconds.
    torch.set_num_threads(1)
    target = recipe_or_part(target, plugins or [])
    if settings and Path(target).suffix in (".py", ".toml"):
        raise UsageError("--set gives options to one part: gptkit check NAME --plugin FILE --set OPTION=VALUE")
    try:
        torch_device = choose_device(device).value
    except ValueError as error:
        raise UsageError(f"--device {device}: {error}") from error
    examined, subjects = parts_of(target, settings or [], plugins or [], torch_device, trust_plugins=trust_plugins)
    checks = [checks_of(subject) for subject in subjects]
    known = sorted({check.id for each in checks for check in each})
    reasons = reasons_of(expected or [], known)
    if only:
        checks = [[check for check in each if check.id in only] for each in checks]
        if not any(checks):
            near = did_you_mean(only[0], known)
            raise UsageError(f"--only {only[0]}: no check is called so.{near} Known: {', '.join(known)}.")
    depth = replace(DEEP if deep else ORDINARY, seed=seed)
    # A single check runs in this process, where a debugger can follow it.
    processes = 1 if sum(map(len, checks)) == 1 else min(MOST_PROCESSES, int(usable_cpus()))
    for subject, chosen in zip(subjects, checks, strict=True):
        if chosen:
            found = outcomes(subject, chosen, depth, case, processes)
            examined.append(Examined(subject.title, (as_expected(outcome, reasons) for outcome in found)))
    proofs = (print_json if as_json else print_table)(examined)
    if not subjects or not all(proofs):
        raise typer.Exit(1)


def reasons_of(expected: list[str], known: list[str]) -> dict[str, str]:
    """Return why each check is expected to fail, by its id.

    Raises:
        UsageError: If there is no such check, or no reason.
    """
    reasons = {}
    for text in expected:
        check, _, reason = text.partition("=")
        if check not in known:
            near = did_you_mean(check, known)
            raise UsageError(f"--expect-failure {text}: no check is called '{check}'.{near}")
        if not reason.strip():
            raise UsageError(f"--expect-failure {text}: say why, as {check}=REASON")
        reasons[check] = reason.strip()
    return reasons


def parts_of(
    target: str, settings: list[str], plugins: list[Path], device: "torch.device", *, trust_plugins: bool
) -> "tuple[list[Examined], list[Subject]]":
    """Return the parts that a name, recipe or plugin file stands for and, for a file, the checks of loading it."""
    from gptkit.storage.trust import read_trusted
    from gptkit.testing.examine import SECONDS, parts_of_file
    from gptkit.testing.guards import TookTooLong, at_most, listening
    from gptkit.testing.targets import parts_called, parts_of_recipe

    if Path(target).suffix == ".py":
        loading, subjects = parts_of_file(Path(target), device)
        return [loading], subjects
    try:
        with at_most(SECONDS, target), listening(target):
            if Path(target).suffix == ".toml":
                recipe, found = read_trusted(Path(target), (), plugins, trust_plugins=trust_plugins)
                return [], parts_of_recipe(recipe, found, device)
            return [], parts_called(target, settings, plugins, device)
    except TookTooLong as error:
        raise PluginError(f"{target}: to load its plugins, {error}") from error


def recipe_or_part(target: str, plugins: list[Path]) -> str:
    """Return the file of the shipped recipe that a target names, or else the target; a part's name comes first."""
    from gptkit.recipe.shipped import shipped_recipes
    from gptkit.registry.loader import Plugins

    file = shipped_recipes().get(target)
    is_part = file is None or any(entry.name == target for entry in Plugins(plugins).registry)
    return target if is_part else str(file)
