"""The contract as pytest tests: one line in a test file proves a part."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hypothesis import settings

from gptkit.errors import UsageError, did_you_mean
from gptkit.interfaces import KINDS
from gptkit.registry.loader import Plugins
from gptkit.testing.check import LEVELS, Check
from gptkit.testing.outcome import Depth, NotHere
from gptkit.testing.prove import checks_of, prove
from gptkit.testing.subject import Subject
from gptkit.testing.targets import subject_of

RANDOM_SEEDS = 2**31


def contract(
    part: str | type,
    *,
    options: Mapping[str, Any] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    level: str = "1",
    inputs: int = 25,
    kind: str | None = None,
    plugins: Sequence[str | Path] = (),
    device: str = "cpu",
) -> Callable[..., None]:
    """Return a pytest test of a part, parametrised by the promises of its kind.

    Assign it to a name that begins with `test_`. Each check is a test of its own and is selected by its id.

    Args:
        part: Its registered name, or its class.
        options: Its options, as in a recipe; defaults if not given.
        expected_failures: Reasons, by the id of the check. A check that holds although it is listed here fails.
        level: Of the contract. Checks that are added later have later levels.
        inputs: Number of inputs on which an ordinary check is tried.
        kind: Of the part, if several kinds have a part of this name.
        plugins: Files that offer the part, if it is not installed.
        device: Where to check it, as PyTorch writes it.

    Raises:
        UsageError: If there is no such part, check or level.
    """
    # gptkit runs without pytest installed.
    import pytest  # noqa: PLC0415

    subject = replace(find_subject(part, options or {}, kind, plugins), device=torch.device(device))
    checks = [check for check in checks_of(subject, level) if not check.why_not_applicable(subject)]
    expected = expected_failures or {}
    for unknown in set(expected) - {check.id for check in checks}:
        near = did_you_mean(unknown, [check.id for check in checks])
        raise UsageError(f"expected_failures: {subject.title} has no check called '{unknown}'.{near}")
    strict = {id: [pytest.mark.xfail(reason=reason, strict=True)] for id, reason in expected.items()}
    # As hypothesis does: the same inputs each time in CI, new ones elsewhere.
    same_each_time = settings.default is not None and settings.default.derandomize

    @pytest.mark.parametrize(
        "check", [pytest.param(check, id=check.id, marks=strict.get(check.id, [])) for check in checks]
    )
    def test(check: Check) -> None:
        seed = 0 if same_each_time else secrets.randbelow(RANDOM_SEEDS)
        outcome = prove(check, subject, Depth(inputs=inputs, seed=seed))
        if outcome.verdict == "broken":
            raise AssertionError(f"{check.id} is broken: {subject.title}\n{outcome.why}") from outcome.error
        if outcome.is_core and outcome.verdict == "not run" and not isinstance(outcome.error, NotHere):
            raise AssertionError(f"{check.id} was not run, so nothing is proven: {subject.title}\n{outcome.why}")
        if outcome.verdict != "held":
            pytest.skip(outcome.why)

    return test


def reproduce(part: str | type, check: str, case: str = "{}", *, options: Mapping[str, Any] | None = None) -> None:
    """Try one check of a part on one input, and raise what it raises.

    Args:
        check: Its id.
        case: The input, as the report of the failure gives it.
    """
    subject = find_subject(part, options or {})
    chosen = check_called(check, checks_of(subject, LEVELS[-1]))
    chosen.law(subject.build, chosen.case.from_json(case))


def find_subject(
    part: str | type, options: Mapping[str, Any], kind: str | None = None, plugins: Sequence[str | Path] = ()
) -> Subject:
    """Return the subject for a part's name or class.

    Raises:
        UsageError: If no part, or more than one, has the name.
    """
    if isinstance(part, type):
        return Subject(part=part, options=options)
    found = Plugins([Path(file) for file in plugins])
    entries = [entry for entry in found.registry if entry.name == part and kind in (None, entry.kind)]
    if len(entries) == 1:
        return subject_of(entries[0], options, found.files)
    if entries:
        raise UsageError(
            f"{len(entries)} parts are called '{part}': say kind=, one of "
            f"{', '.join(entry.kind for entry in entries)}"
        )
    known = [entry.name for entry in found.registry if kind in (None, entry.kind)]
    of_kind = "part" if kind is None else getattr(KINDS.get(kind), "__name__", kind)
    raise UsageError(f"no {of_kind} is called '{part}'.{did_you_mean(part, known)}{found.failures()}")


def check_called(id: str, checks: Sequence[Check]) -> Check:
    """Return the check of an id.

    Raises:
        UsageError: If there is none; the message names the nearest.
    """
    for check in checks:
        if check.id == id:
            return check
    known = [check.id for check in checks]
    raise UsageError(f"no check is called '{id}'.{did_you_mean(id, known)} Known: {', '.join(known)}")
