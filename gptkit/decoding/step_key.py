"""A key of all that a compiled or captured step bakes in of a model."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from torch import nn

from gptkit.decoding.cache_tensors import Constant


def model_key(model: nn.Module) -> Hashable:
    """Return a key that changes with the modules of a model, their hooks and attributes, but not with weights.

    Containers count by their contents. An object of another type counts by identity: a change inside it is not
    noticed.
    """
    return tuple(
        (Identity(module), name, freeze(value))
        for module in model.modules()
        for name, value in vars(module).items()
        # Weights and buffers are inputs of a step. Most attributes of a module are empty dicts of hooks.
        if name not in {"_parameters", "_buffers"} and not (type(value) is OrderedDict and not value)
    )


def freeze(value: Any) -> Hashable:
    """Return a hashable stand-in: equal for equal constants of one type, equal containers and the same object."""
    # With its type, because 1, 1.0 and True are equal but do not compile to the same.
    if isinstance(value, Constant):
        return type(value), value
    if isinstance(value, dict):
        return type(value), tuple((freeze(key), freeze(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value), tuple(map(freeze, value))
    if isinstance(value, set | frozenset):
        return type(value), frozenset(map(freeze, value))
    return Identity(value)


class Identity:
    """Equals only an Identity of the same object, which it keeps alive so that its id is not reused."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)
