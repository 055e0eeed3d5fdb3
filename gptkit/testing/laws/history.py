"""Laws of hidden state: a pass depends on its weights and input, not on earlier passes, clocks or other parts."""

from dataclasses import replace

import torch
from torch import nn

from gptkit.seeds import seeded
from gptkit.testing.accuracy import assert_equal, assert_same
from gptkit.testing.case import Build, Case
from gptkit.testing.elsewhere import elsewhere
from gptkit.testing.outcome import Refusal
from gptkit.testing.results import Results, results
from gptkit.testing.weights import draw_weights

# Passes after which a part that counts them may do something else.
CALLS = 20


def forgets_earlier_modes(build: Build[nn.Module], case: Case) -> None:
    """Assert that a pass does not depend on gradients, training or autocast, now or earlier."""
    # In float32, because autocast lowers no other precision.
    case = replace(case, dtype=torch.float32)
    part, fresh = case.build(build), case.build(build)
    for each in (part, fresh):
        draw_weights(each, case)
    expected = results(fresh, case)
    # First in inference mode: a tensor that is made there and kept cannot be saved for a backward pass.
    larger = replace(case, B=case.B + 1, T=case.T + case.spare)
    for mode in (torch.inference_mode, torch.no_grad):
        with mode():
            part(larger.x())
            # Kernels may differ without gradients.
            assert_equal(part(case.x()), expected["output"], f"the output under {mode.__name__}", case)
    with torch.no_grad(), torch.autocast(case.device.type, torch.bfloat16):
        part(case.x())
    part.train()(case.x())
    found = results(part.eval(), case)
    for name, result in expected.items():
        assert_same(found[name], result, f"{name} after passes in other modes", case)


def follows_its_weights(build: Build[nn.Module], case: Case) -> None:
    """Assert that a pass uses the weights that there are now, after they were changed or cast to another dtype."""
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    part(x)
    draw_weights(part, replace(case, seed=case.seed + 1))
    for each in (case, replace(case, dtype=torch.float32)):
        fresh = each.build(build)
        fresh.load_state_dict(part.to(each.dtype).state_dict())
        what = f"the output in {each.dtype} after the weights were changed".replace("torch.", "")
        assert_equal(part(each.x()), fresh(each.x()), what, each)


def depends_on_its_input_alone(build: Build[nn.Module], case: Case) -> None:
    """Assert that a part reads no clock, process, environment or random state, and nothing of another part."""
    part, x = case.build(build), case.x()
    first = {name: value.clone() for name, value in part.state_dict().items()}
    draw_weights(part, case)
    expected = part(x)
    other = replace(case, seed=case.seed + 1, T=case.T + 1)
    with elsewhere(part, number=case.seed):
        other.build(build)(other.x())
        found, again = part(x), case.build(build)
        for name, value in again.state_dict().items():
            assert_same(value, first[name], f"the initial {name} at another time, in another environment", case)
        draw_weights(again, case)
        built = again(x)
    assert_same(found, expected, "the output at another time, in another environment", case)
    assert_same(built, expected, "the output of a part built at another time, in another environment", case)
    with torch.no_grad():
        for _ in range(CALLS):
            part(x)
        assert_same(part(x), expected, f"the output after {CALLS} passes", case)


def trains_on_from_its_state_dict(build: Build[nn.Module], case: Case) -> None:
    """Assert that a part that loads the state_dict of one that has trained goes on training in the same way."""
    first, second = (dropping_out(build, replace(case, seed=seed)).train() for seed in (case.seed, case.seed + 1))
    for step in range(3):
        trained(first, case, step)
    second.load_state_dict(first.state_dict())
    for step in (3, 4):
        found, expected = (trained(part, case, step) for part in (second, first))
        for name, result in expected.items():
            assert_same(found[name], result, f"{name} in training, after a state_dict was loaded", case)


def trained(part: nn.Module, case: Case, step: int) -> Results:
    """Return the results of one pass of a step in training mode."""
    with seeded(case.device, case.seed, "step", step):
        return results(part, replace(case, seed=case.seed + step))


def dropping_out(build: Build[nn.Module], case: Case) -> nn.Module:
    """Return a part with dropout, or without if it refuses to drop out."""
    try:
        return case.build(build, dropout=0.5)
    except Refusal:
        return case.build(build)
