"""Every built-in part keeps the contract of its kind, the same one as third-party parts."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE

import pytest
from torch import nn

from gptkit.registry.loader import Plugins
from gptkit.testing import contract
from gptkit.testing.check import LEVELS

README = Path(__file__).parents[2] / "README.md"
# Few, because each run draws new inputs.
INPUTS = 5
SLOW = [pytest.mark.exhaustive]
# Options that have no default.
OPTIONS = {("corpus", "text"): {"path": README}}


def without_another_process(test: Callable[..., None]) -> Callable[..., None]:
    """Return a contract whose checks in another process are exhaustive: each worker would start one of its own."""
    (mark,) = test.pytestmark  # type: ignore[attr-defined]
    params = [
        pytest.param(*each.values, id=each.id, marks=[*each.marks, *SLOW * ("process" in each.id)])
        for each in mark.args[1]
    ]
    test.pytestmark = [pytest.mark.parametrize(mark.args[0], params).mark]  # type: ignore[attr-defined]
    return test


ENTRIES = {f"{entry.kind}_{entry.name}": entry for entry in Plugins().registry}
for title, entry in ENTRIES.items():
    options = OPTIONS.get((entry.kind, entry.name))
    globals()[f"test_{title}"] = without_another_process(
        contract(entry.part, options=options, inputs=INPUTS, level=LEVELS[-1])
    )
    if issubclass(entry.part, nn.Module):
        on_cuda = contract(entry.part, device="cuda", level=LEVELS[-1])
        globals()[f"test_{title}_on_cuda"] = pytest.mark.cuda(on_cuda)

# In other processes, because this one checks annotations at run time, which breaks the graph. In only two, because
# the compiler takes longer to start than to compile.
PROGRAM = """
import json
import sys
from gptkit.registry.loader import Plugins
from gptkit.testing.outcome import Depth
from gptkit.testing.prove import checks_of, prove
from gptkit.testing.subject import Subject

first, COMPILED, broken = int(sys.argv[1]), sys.argv[2:], {}
for entry in list(Plugins().registry)[first::2]:
    subject = Subject(part=entry.part)
    for check in checks_of(subject):
        if check.id in COMPILED and (outcome := prove(check, subject, Depth(inputs=1))).verdict != "held":
            broken[f"{entry.kind}_{entry.name} {check.id}"] = f"{outcome.verdict}: {outcome.why}"
print(json.dumps(broken))
"""
# Not `compiles_to_one_graph`: what equals eager computing when TorchInductor compiles it is one graph too.
COMPILED = ["compiles_for_any_length", "compiled_equals_eager", "decoding_compiles_once"]


@pytest.fixture(scope="module")
def broken() -> dict[str, str]:
    """Return the reasons why compiled parts fail, by part and check."""
    command = [sys.executable, "-c", PROGRAM]
    both = [subprocess.Popen([*command, n, *COMPILED], stdout=PIPE, stderr=PIPE, text=True) for n in ("0", "1")]
    found: dict[str, str] = {}
    for process in both:
        told, error = process.communicate()
        assert process.returncode == 0, error
        found |= json.loads(told.splitlines()[-1])
    return found


@pytest.mark.exhaustive
@pytest.mark.parametrize("check", COMPILED)
@pytest.mark.parametrize("title", [title for title, entry in ENTRIES.items() if issubclass(entry.part, nn.Module)])
def test_compiled(title: str, check: str, broken: dict[str, str]) -> None:
    assert f"{title} {check}" not in broken, broken[f"{title} {check}"]
