"""Splits a cache into tensors that a captured graph updates and constants that it bakes in."""

import copy
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from gptkit.interfaces import LayerCache

Constant = int | float | str | torch.dtype | torch.device | torch.Size | None


def tensors_of(cache: LayerCache) -> dict[str, Tensor]:
    """Return the attributes of a cache that are tensors, by name."""
    return {name: value for name, value in vars(cache).items() if isinstance(value, Tensor)}


def constants_of(cache: LayerCache) -> dict[str, Constant]:
    """Return all other attributes of a cache, by name.

    Raises:
        NotImplementedError: If one of them is mutable, such as a list.
    """
    constants = {name: value for name, value in vars(cache).items() if not isinstance(value, Tensor)}
    for name, value in constants.items():
        if not isinstance(value, Constant):
            raise refusal("whose state is in tensors", cache, name, f"is {value!r}", "make it a tensor")
    return constants


def copy_state(target: LayerCache, source: LayerCache) -> None:
    """Copy every tensor of one cache into that of another, in place.

    Raises:
        NotImplementedError: If their constants differ, or a tensor's shape or dtype does.
    """
    old, new = constants_of(target), constants_of(source)
    if new != old:
        name = next(name for name in {**old, **new} if old.get(name) != new.get(name))
        found = f"was {old.get(name)!r} and is {new.get(name)!r}"
        raise refusal("whose state is in tensors", source, name, found, "make it a tensor")
    targets, sources = tensors_of(target), tensors_of(source)
    own = {id(tensor): name for name, tensor in targets.items()}
    # A tensor that has moved to another name is read after its memory is written.
    sources = {
        name: tensor.clone() if own.get(id(tensor), name) != name else tensor for name, tensor in sources.items()
    }
    for name in {**targets, **sources}:
        was, now = (describe_tensor(tensors.get(name)) for tensors in (targets, sources))
        if was != now:
            found, advice = f"was {was} and is {now}", "let it have room for a whole context"
            raise refusal("that stay as large as they are", source, name, found, advice)
        if sources[name] is not targets[name]:
            targets[name].copy_(sources[name])


def check_no_shared_storage(caches: Iterable[LayerCache]) -> None:
    """Raise NotImplementedError if two tensors of the caches share storage: a write to one would change both."""
    owners: dict[int, str] = {}
    for cache in caches:
        for name, tensor in tensors_of(cache).items():
            storage = tensor.untyped_storage().data_ptr()
            if storage in owners and tensor.numel():
                found = f"shares its storage with {owners[storage]}"
                raise refusal("whose tensors lie apart", cache, name, found, "copy one of them")
            owners[storage] = f"{type(cache).__name__}.{name}"


def with_tensors(cache: LayerCache, tensors: Iterator[Tensor]) -> LayerCache:
    """Return a copy of a cache with other tensors, taken in the order of `tensors_of`."""
    replaced = copy.copy(cache)
    for name in tensors_of(cache):
        setattr(replaced, name, next(tensors))
    return replaced


def refusal(needed: str, cache: LayerCache, attribute: str, found: str, advice: str) -> NotImplementedError:
    """Return the error for a cache with an attribute that does not suit a decoder."""
    return NotImplementedError(
        f"this decoder needs caches {needed}, and {type(cache).__name__}.{attribute} {found}: {advice}, or choose "
        "another decoder"
    )


def describe_tensor(tensor: Tensor | None) -> str:
    """Return dtype and shape in words, such as `float32 (2, 8)`."""
    return "not there" if tensor is None else f"{str(tensor.dtype).partition('.')[2]} {tuple(tensor.shape)}"
