"""What the contract, and the proof of an attention before it is timed, may import."""

import subprocess
import sys

import pytest

PROOF = """
import gptkit.testing.attend_equivalence
import gptkit.testing.case
import gptkit.testing.gate
import gptkit.testing.guards
import gptkit.testing.laws.dropout
import gptkit.testing.subject
"""
CONTRACT = """
import gptkit.testing.examine
import gptkit.testing.pytest_contract
"""
REPORT = "\nimport sys\nprint([name for name in {} if name in sys.modules])"


@pytest.mark.parametrize(
    ("imports", "unwanted"),
    [
        (PROOF, ["hypothesis", "pytest"]),
        (CONTRACT, ["pytest", "gptkit.storage", "gptkit.tuning", "gptkit.run", "gptkit.training"]),
    ],
)
def test_what_is_not_imported(imports: str, unwanted: list[str]) -> None:
    program = imports + REPORT.format(unwanted)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
