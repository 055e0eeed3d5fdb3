"""Counts the bytes of tensors: those that are alive, and those that a forward pass keeps for its backward pass."""

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakValueDictionary, finalize

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def kept_for_backward(forward: Callable[[], Tensor], *, without: Iterable[Tensor] = ()) -> int:
    """Return how many bytes a forward pass keeps for its backward pass, each memory counted once.

    It holds for whatever autograd saves, a stranger's functions included, on every device. In PyTorch's
    `FakeTensorMode` it takes no memory and hardly any time, however large the shapes are.

    Args:
        forward: Computes what has the gradient; for an attention `lambda: attention.attend(q, k, v)`.
        without: Tensors that are there in any case, such as `model.parameters()`.
    """
    known = {storage_of(each) for each in without}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if (storage := storage_of(tensor)) not in known:
            kept[storage] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.enable_grad(), saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()
    # Alive until here: what is freed before the last tensor is saved could lend its place to it.
    del result
    return sum(kept.values())


def storage_of(tensor: Tensor) -> int:
    """Return what tells a tensor's memory from all other that is alive; views share it."""
    return tensor.untyped_storage()._cdata


class MemoryTracker(TorchDispatchMode):
    """Counts the bytes of all tensors on one kind of device that come to be inside it, while they are alive.

    Args:
        kind: `cpu`, `cuda` or `mps`.
        small: Below how many bytes a tensor counts as small too.
    """

    # Attention that takes a function, as FlexAttention does, comes as such an operator.
    supports_higher_order_operators = True

    def __init__(self, kind: str, *, small: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kind, self.small = kind, small
        self.alive = self.alive_small = self.gradients = 0
        self.begin()
        self.known: WeakValueDictionary[int, Any] = WeakValueDictionary()

    def begin(self) -> None:
        """Look for the peak from here on."""
        self.peak, self.small_at_peak, self.gradients_at_peak = self.alive, self.alive_small, self.gradients

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count what an operator makes."""
        result = operator(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, Tensor) and each.device.type == self.kind:
                self.count(each)
        return result

    def count(self, tensor: Tensor) -> None:
        """Count a tensor until it is freed, unless its memory is another's that is counted."""
        storage = tensor.untyped_storage()
        if self.known.get(storage._cdata) is storage:
            return
        self.known[storage._cdata] = storage
        size = storage.nbytes()
        finalize(storage, self.add, -size)
        self.add(size)
        if self.alive > self.peak:
            self.begin()

    def add(self, size: int) -> None:
        """Count so many bytes, or where negative no longer count them."""
        self.alive += size
        self.alive_small += size if abs(size) < self.small else 0
