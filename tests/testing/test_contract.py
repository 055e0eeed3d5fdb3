"""`contract` and `reproduce`, as the author of a plugin uses them."""

import subprocess
import sys
from pathlib import Path

import pytest

from gptkit.components.norm.layernorm import LayerNorm
from gptkit.errors import UsageError
from gptkit.testing import checks, contract, prove, reproduce
from gptkit.testing.check import check
from gptkit.testing.pytest_contract import find_subject
from gptkit.testing.subject import Subject

BAD_NORM = """
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.testing import contract

class Mixing(LayerNorm):
    def forward(self, x):
        return super().forward(x) + x.mean(dim=1, keepdim=True)

"""


def printed(directory: Path, line: str, *arguments: str) -> list[str]:
    """Return what pytest prints of a test file with one line of `contract`."""
    (directory / "test_mine.py").write_text(BAD_NORM + line)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--color=no", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def test_one_line_is_a_test_for_each_promise(tmp_path: Path) -> None:
    lines = printed(tmp_path, 'test_mine = contract("rmsnorm")', "--collect-only")
    collected = [line for line in lines if "::" in line]
    assert "test_mine.py::test_mine[positions_are_independent]" in collected
    # A norm without a reference makes no promise about one.
    assert len(collected) == 24
    assert not [line for line in collected if "reference" in line]


def test_a_broken_promise_fails_with_what_a_person_needs(tmp_path: Path) -> None:
    lines = printed(tmp_path, "test_mine = contract(Mixing)", "-k", "positions_are_independent or is_finite]")
    assert lines[-1].startswith("1 failed, 1 passed")
    told = "\n".join(line.removeprefix("E").strip() for line in lines)
    assert "positions_are_independent is broken: norm: Mixing (" in told
    assert "position 0 alone: off by" in told
    assert "to reproduce: gptkit.testing.reproduce(Mixing, 'positions_are_independent', '{\"B\": 1, " in told


def test_an_expected_failure_is_strict(tmp_path: Path) -> None:
    expected = {"positions_are_independent": "it mixes", "is_finite": "no"}
    both = f"test_mine = contract(Mixing, expected_failures={expected})"
    lines = printed(tmp_path, both, "-k", "positions_are_independent or is_finite]")
    assert lines[-1].startswith("1 failed, ")
    assert "1 xfailed" in lines[-1]
    assert "[XPASS(strict)] no" in lines


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"part": "rmsnrom"}, "no part is called 'rmsnrom'. Did you mean 'rmsnorm'?"),
        ({"part": "none", "kind": "norm"}, "no Norm is called 'none'."),
        ({"part": "relu", "level": "9"}, "the contract has no level '9'. Known: 1"),
    ],
)
def test_what_there_is_not(arguments: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        contract(**arguments)  # type: ignore[arg-type]
    assert str(caught.value) == told


def test_an_expected_failure_of_no_check() -> None:
    with pytest.raises(UsageError, match=r"has no check called 'is_finit'\. Did you mean 'is_finite'\?$"):
        contract(LayerNorm, expected_failures={"is_finit": "?"})


def test_reproduce_raises_what_the_law_raises() -> None:
    class Scaled(LayerNorm):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return super().forward(x) * x.shape[1]

    reproduce(Scaled, "is_finite")
    with pytest.raises(
        AssertionError, match=r"^position 0 alone: off by .* \(B=1 H=2 T=2 S=2 D=4 scale=1 seed=7 "
    ):
        reproduce(Scaled, "positions_are_independent", '{"B": 1, "T": 2, "seed": 7}')


def test_a_later_check_waits_for_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(build: object, case: object) -> None:
        """Assert that this is never tried."""
        raise AssertionError

    later = check(("norm",), never, level="2")
    monkeypatch.setattr(prove, "CHECKS", (*checks.CHECKS, later))
    monkeypatch.setattr(prove, "LEVELS", ("1", "2"))
    subject = Subject(part=LayerNorm)
    assert later not in prove.checks_of(subject, "1")
    assert later in prove.checks_of(subject, "2")


def test_level_1_is_frozen() -> None:
    # Removing a line drops a promise that users rely on; adding one breaks the tests of plugins without it.
    found = [f"{kind} {check.id}" for check in checks.CHECKS for kind in check.kinds if check.level == "1"]
    assert sorted(found) == (Path(__file__).parent / "level_1.txt").read_text().splitlines()


def test_a_part_of_a_plugin_file_is_reproduced_with_that_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    hook = '@gptkit.hookimpl\ndef gptkit_register(register):\n    register("mine", Mixing)\n'
    file.write_text(f"import gptkit\n{BAD_NORM}{hook}")
    subject = find_subject("mine", {}, plugins=[file])
    assert subject.reproducer("is_finite", "{}").startswith(f"gptkit check mine --plugin {file} --only is_finite ")
