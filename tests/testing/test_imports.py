"""What proving an attention before it is timed may import."""

import subprocess
import sys

PROGRAM = """
import sys
import gptkit.testing.attend_equivalence
import gptkit.testing.case
import gptkit.testing.gate
import gptkit.testing.guards
import gptkit.testing.laws.dropout
import gptkit.testing.subject
print([name for name in ("hypothesis", "pytest") if name in sys.modules])
"""


def test_a_gate_needs_neither_hypothesis_nor_pytest() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
