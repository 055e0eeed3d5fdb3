"""The training step: micro-batches, forward and backward, clipping, the finite guard; and the evaluation losses.

Imports `nn`, `data`, `model` and the settings of a recipe's `[train]`; knows no run directory.
"""
