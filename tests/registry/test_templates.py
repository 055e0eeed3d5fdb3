"""Every template is a part that holds the contract of its kind."""

import subprocess
import sys

import pytest

from gptkit.registry.templates.attention import MineAttention
from gptkit.registry.templates.block import MineBlock
from gptkit.registry.templates.corpus import MineCorpus
from gptkit.registry.templates.feed_forward import MineFeedForward
from gptkit.registry.templates.norm import MineNorm
from gptkit.registry.templates.optimizer import MineOptimizer
from gptkit.registry.templates.position import MinePosition
from gptkit.registry.templates.schedule import MineSchedule
from gptkit.registry.templates.tokenizer import MineTokenizer
from gptkit.testing import contract

test_attention = contract(MineAttention, inputs=4)
test_block = contract(MineBlock, inputs=4)
test_corpus = contract(MineCorpus, inputs=4)
test_feed_forward = contract(MineFeedForward, inputs=4)
test_norm = contract(MineNorm, inputs=4)
test_optimizer = contract(MineOptimizer, inputs=4)
test_position = contract(MinePosition, inputs=4)
test_schedule = contract(MineSchedule, inputs=4)
test_tokenizer = contract(MineTokenizer, inputs=4)

# In another process, because what checks annotations in this one breaks the graph; in one for all of them,
# because the compiler takes longer to start than to compile.
COMPILE = """
from importlib import import_module
from gptkit.testing import reproduce

for kind in ("attention", "block", "feed_forward", "norm", "position"):
    module = import_module(f"gptkit.registry.templates.{kind}")
    (part,) = [value for name, value in vars(module).items() if name.startswith("Mine")]
    reproduce(part, "compiles_to_one_graph")
    if kind in ("attention", "block"):
        reproduce(part, "decoding_compiles_once")
    print(kind)
"""


@pytest.mark.exhaustive
def test_every_module_compiles_to_one_graph() -> None:
    done = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["attention", "block", "feed_forward", "norm", "position"], done.stderr
