"""`contract` and `reproduce`, as the author of a plugin uses them."""

import subprocess
import sys
from pathlib import Path

import pytest

from gptkit.components.norm.layernorm import LayerNorm
from gptkit.errors import UsageError
from gptkit.testing import checks, contract, prove, reproduce
from gptkit.testing.pytest_contract import find_subject
from gptkit.testing.subject import Subject

BAD_NORM = """
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.testing import contract

class Mixing(LayerNorm):
    def forward(self, x):
        return super().forward(x) + x.mean(dim=1, keepdim=True)

"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what pytest prints of a test file with a line of `contract`, and one that expects what fails."""
    expected = {"positions_are_independent": "it mixes", "is_finite": "no"}
    file = tmp_path_factory.mktemp("contract") / "test_mine.py"
    lines = ["test_mine = contract(Mixing)", f"test_expected = contract(Mixing, expected_failures={expected})"]
    file.write_text(BAD_NORM + "\n".join(lines))
    chosen = ("-k", "positions_are_independent or is_finite]")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--color=no", *chosen]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def test_one_line_is_a_test_for_each_promise() -> None:
    (mark,) = contract("rmsnorm").pytestmark  # type: ignore[attr-defined]
    promises = [each.id for each in mark.args[1]]
    assert "positions_are_independent" in promises
    # A norm without a reference makes no promise about one.
    assert len(promises) == 24
    assert not [promise for promise in promises if "reference" in promise]


def test_a_broken_promise_fails_with_what_a_person_needs(printed: list[str]) -> None:
    assert printed[-1].startswith("2 failed, 1 passed")
    told = "\n".join(line.removeprefix("E").strip() for line in printed)
    assert "positions_are_independent is broken: norm: Mixing (" in told
    assert "position 0 alone: off by" in told
    assert "to reproduce: gptkit.testing.reproduce(Mixing, 'positions_are_independent', '{\"B\": 1, " in told


def test_an_expected_failure_is_strict(printed: list[str]) -> None:
    assert "1 xfailed" in printed[-1]
    assert "[XPASS(strict)] no" in printed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"part": "rmsnrom"}, "no part is called 'rmsnrom'. Did you mean 'rmsnorm'?"),
        ({"part": "none", "kind": "norm"}, "no Norm is called 'none'."),
        ({"part": "relu", "level": "9"}, "the contract has no level '9'. Known: 1, 2"),
    ],
)
def test_what_there_is_not(arguments: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        contract(**arguments)  # type: ignore[arg-type]
    assert str(caught.value) == told


def test_an_expected_failure_of_no_check() -> None:
    with pytest.raises(UsageError, match=r"has no check called 'is_finit'\. Did you mean 'is_finite'\?$"):
        contract(LayerNorm, expected_failures={"is_finit": "?"})


def test_a_core_check_that_was_not_run_fails() -> None:
    class Refusing(LayerNorm):
        def forward(self, x):  # type: ignore[no-untyped-def]
            raise NotImplementedError("not today")

    (mark,) = (test := contract(Refusing, inputs=5)).pytestmark  # type: ignore[attr-defined]
    checks = {each.id: each.values[0] for each in mark.args[1]}
    with pytest.raises(AssertionError, match="is_finite was not run, so nothing is proven: norm: Refusing"):
        test(checks["is_finite"])
    with pytest.raises(pytest.skip.Exception, match="it refuses: not today"):
        test(checks["input_is_not_mutated"])


def test_reproduce_raises_what_the_law_raises() -> None:
    class Scaled(LayerNorm):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return super().forward(x) * x.shape[1]

    reproduce(Scaled, "is_finite")
    with pytest.raises(
        AssertionError, match=r"^position 0 alone: off by .* \(B=1 H=2 T=2 S=2 D=4 scale=1 seed=7 "
    ):
        reproduce(Scaled, "positions_are_independent", '{"B": 1, "T": 2, "seed": 7}')


def test_a_later_check_waits_for_its_level() -> None:
    first, second = ({check.id for check in prove.checks_of(Subject(part=LayerNorm), level)} for level in "12")
    assert first < second
    assert "follows_its_weights" in second - first


def test_a_promise_is_the_sentence_of_its_law() -> None:
    promises = {check.id: check.promise for check in checks.CHECKS}
    assert promises["honours_attn_mask"].endswith("if `ctx.attn_mask` separates them")
    assert promises["never_reads_the_future_when_scores_are_huge"].endswith(
        "later positions, when scores are huge"
    )


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
