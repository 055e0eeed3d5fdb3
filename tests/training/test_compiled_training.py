"""Compiled steps train as uncompiled ones do, and to the same bits when activations are computed twice."""

import json

import pytest

from tests.program import run_program

# In a process of its own, because the checker of annotations cannot be compiled; one for both claims, because
# compiling takes long. One layer of one head, because each has kernels of its own. Of `tiled`, which draws its
# dropout in a backward pass of its own; the contract compiles the others.
PROGRAM = """
import json

from gptkit.components.attention.tiled import TiledAttention
from gptkit.components.optimizer.adamw import AdamWOptimizer
from gptkit.components.schedule.constant import ConstantSchedule
from gptkit.training.train import train
from tests.small import same_weights, small_model, small_settings, small_tokens


def trained(dropout, **settings):
    model = small_model(TiledAttention, n_layer=1, n_head=1, dropout=dropout)
    optimizer = AdamWOptimizer(learning_rate=1e-2).build(model.parameter_groups())
    steps = train(model, small_tokens(), optimizer, ConstantSchedule(5), small_settings(max_iters=5, **settings))
    return model, [float(step.loss) for step in steps]


(_, eager), (_, compiled) = trained(0.0), trained(0.0, compile=True)
kept, _ = trained(0.3, compile=True)
recomputed, _ = trained(0.3, compile=True, checkpoint_activations=True)
print(json.dumps([eager, compiled, same_weights(kept, recomputed)]))
"""


@pytest.mark.exhaustive
def test_losses_are_those_of_eager_steps_and_bits_those_of_kept_activations() -> None:
    eager, compiled, same = json.loads(run_program(PROGRAM))
    assert eager[-1] < eager[0]
    assert compiled == pytest.approx(eager, abs=1e-3)
    assert same
