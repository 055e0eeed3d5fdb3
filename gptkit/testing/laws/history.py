"""Laws of hidden state: a pass depends on its weights and input, not on earlier passes, clocks or other parts."""

import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import torch
from torch import nn

from gptkit.testing.accuracy import assert_equal, assert_same
from gptkit.testing.case import Build, Case
from gptkit.testing.results import results
from gptkit.testing.weights import draw_weights

CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")


def forgets_earlier_modes(build: Build[nn.Module], case: Case) -> None:
    """Assert that a pass does not depend on earlier ones in training, without gradients or in inference mode."""
    part, fresh = case.build(build), case.build(build)
    for each in (part, fresh):
        draw_weights(each, case)
    with torch.inference_mode():
        part(case.x())
    with torch.no_grad():
        part(case.x())
    part.train()(case.x())
    found, expected = results(part.eval(), case), results(fresh, case)
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
    """Assert that a pass reads no clock, process or random state, and nothing of another part of its kind."""
    part, x = case.build(build), case.x()
    draw_weights(part, case)
    expected = part(x)
    other = replace(case, seed=case.seed + 1, T=case.T + 1)
    with another_time():
        other.build(build)(other.x())
        found = part(x)
    assert_same(found, expected, "the output at another time, with another random state", case)


@contextmanager
def another_time() -> Iterator[None]:
    """Change what clocks, the process and the random states of Python and NumPy say."""
    before, numpy = random.getstate(), sys.modules.get("numpy")
    numpy_before = None if numpy is None else numpy.random.get_state()
    clocks = {name: mock.Mock(return_value=getattr(time, name)() + 10**7) for name in CLOCKS}
    try:
        random.random()
        if numpy is not None:
            numpy.random.random_sample()
        with mock.patch.multiple(time, **clocks), mock.patch.object(os, "getpid", return_value=os.getpid() + 1):
            yield
    finally:
        random.setstate(before)
        if numpy is not None:
            numpy.random.set_state(numpy_before)
