"""Every test of its kind, on this norm."""

from gptkit.testing import contract

test_dyt = contract("dyt", level="2")
