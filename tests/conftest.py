"""What holds for every test: annotations are checked as it runs, and it is skipped where it needs CUDA in vain."""

import os

import jaxtyping
import pytest
import torch
from hypothesis import settings

# Before anything imports gptkit, whose modules it wraps as they are loaded.
jaxtyping.install_import_hook("gptkit", "beartype.beartype")

# Tests are small, and threads that wait for one another make them three times as long on a busy machine.
torch.set_num_threads(1)

# A first call is slower than the others, so no time limit; and what fails in CI must fail again at the desk.
settings.register_profile("gptkit", deadline=None, max_examples=25, derandomize="CI" in os.environ)
settings.load_profile("gptkit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need CUDA where there is none."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
