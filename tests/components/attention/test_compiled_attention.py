"""Every registered attention compiles to one graph, also behind a memory."""

import json
import subprocess
import sys

import pytest

from gptkit.interfaces import Attention
from gptkit.testing.subjects import registered

# In another process, because what checks annotations in this one breaks the graph; in one for all of them,
# because the compiler takes longer to start than to compile.
PROGRAM = """
import json
import traceback
import torch
from gptkit.interfaces import Attention
from gptkit.testing.case import Case
from gptkit.testing.compile_laws import compiled_equals_eager, decoding_compiles_once
from gptkit.testing.subjects import registered

failures = {}
for name, attention in registered(Attention).items():
    try:
        compiled_equals_eager(attention, Case(dtype=torch.float32))
        decoding_compiles_once(attention, Case(dtype=torch.float32))
    except Exception:
        failures[name] = traceback.format_exc()
print(json.dumps(failures))
"""


@pytest.fixture(scope="module")
def failures() -> dict[str, str]:
    """Return what the attentions that do not compile failed with."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", registered(Attention))
def test_it_compiles_to_one_graph_that_equals_it(name: str, failures: dict[str, str]) -> None:
    assert name not in failures, failures[name]
