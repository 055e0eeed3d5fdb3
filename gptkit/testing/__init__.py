"""The contract: checks that any part must pass, whoever wrote it.

In a plugin's test file one line proves a part, by its registered name or its class:

    from gptkit.testing import contract

    test_mine = contract("mine")

Each promise is a test of its own, named after it. `gptkit check` is the same from the command line. A check that
fails says on which input, the smallest that was found, and how to see it again; `reproduce` does that.
"""

from gptkit.testing.contract import contract, reproduce

__all__ = ["contract", "reproduce"]
