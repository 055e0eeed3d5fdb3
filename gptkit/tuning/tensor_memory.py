"""Counts the bytes of live tensors, and of those that a forward pass keeps for backward."""

from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary, finalize

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def kept_for_backward(forward: Callable[[], Tensor]) -> int:
    """Return how many bytes a forward pass keeps for backward; tensors that share storage count once.

    Counts all that autograd saves, for third-party functions too, on every device. In PyTorch's `FakeTensorMode`
    it takes no memory and hardly any time, whatever the shapes.

    Args:
        forward: Returns a tensor that requires a gradient; for an attention `lambda: attention.attend(q, k, v)`.
    """
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        # The key is an id of the storage, unique among live ones; views share it.
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.enable_grad(), saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()
    # Alive until here, because the storage of a freed tensor could be reused for the next that is saved.
    del result
    return sum(kept.values())


class MemoryTracker(TorchDispatchMode):
    """Counts the bytes of tensors that are created in this context on one type of device, while they are alive.

    Args:
        kind: `cpu`, `cuda` or `mps`.
        small: Tensors of fewer bytes are also counted apart.
    """

    # FlexAttention, which takes a function, is such an operator.
    supports_higher_order_operators = True

    def __init__(self, kind: str, *, small: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kind, self.small = kind, small
        self.alive = self.alive_small = self.gradients = 0
        self.begin()
        self.known: WeakValueDictionary[int, Any] = WeakValueDictionary()

    def begin(self) -> None:
        """Measure the peak from here on."""
        self.peak, self.small_at_peak, self.gradients_at_peak = self.alive, self.alive_small, self.gradients

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count the tensors that an operator creates."""
        result = operator(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, Tensor) and each.device.type == self.kind:
                self.count(each)
        return result

    def count(self, tensor: Tensor) -> None:
        """Count a tensor until it is freed, unless its storage is counted already."""
        storage = tensor.untyped_storage()
        if self.known.get(storage._cdata) is storage:
            return
        self.known[storage._cdata] = storage
        size = storage.nbytes()
        finalize(storage, self.add, -size)
        self.add(size)
        if self.alive > self.peak:
            self.begin()

    def count_gradient(self, weight: Tensor) -> None:
        """Count the gradient of a weight."""
        self.gradients += weight.nbytes

    def add(self, size: int) -> None:
        """Add bytes to those alive; a freed tensor's are negative."""
        self.alive += size
        self.alive_small += size if abs(size) < self.small else 0
