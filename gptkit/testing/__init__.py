"""The contract: checks that every part of a kind must pass, built in or third-party.

One line in a plugin's test file proves a part, by its registered name or its class:

    from gptkit.testing import contract

    test_mine = contract("mine")

Each promise becomes a test of its own, named after it. `gptkit check` runs the same checks from the command line.
A failed check reports the smallest input on which it fails and the call of `reproduce` that runs it again.

Imports `interfaces`, `nn`, `components`, `decoding`, `registry` and `recipe`. `contract` and `reproduce` are the
public names.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gptkit.testing.pytest_contract import contract as contract, reproduce as reproduce

__all__ = ["contract", "reproduce"]


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, because they need hypothesis and a timing does not."""
    if name in __all__:
        return getattr(importlib.import_module("gptkit.testing.pytest_contract"), name)
    raise AttributeError(f"module 'gptkit.testing' has no attribute '{name}'")
