"""With any registered position, an attention behind a memory compiles to one graph."""

import subprocess
import sys

# In another process, because what checks annotations in this one breaks the graph. To see that there is one
# graph takes no machine code, on which compiling spends most of its time.
PROGRAM = """
from gptkit.components.attention.naive import NaiveAttention
from gptkit.interfaces import Position
from gptkit.testing.case import Case
from gptkit.testing.compile_laws import decoding_compiles_once
from gptkit.testing.subjects import registered

for name, position in registered(Position).items():
    print(name)
    decoding_compiles_once(NaiveAttention, Case(), position, backend="aot_eager")
"""


def test_decoding_with_each_position_compiles_to_one_graph() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
