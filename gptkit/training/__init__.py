"""The training step: micro-batches, backward, clipping, the finite guard, and the losses of a trained model.

Imports `nn`, `data`, `model` and the settings of a recipe's `[train]`; knows no run directory.
"""
