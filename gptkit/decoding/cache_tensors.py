"""What a memory keeps: tensors, which a recorded pass writes, and constants, which it takes for granted."""

import copy
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from gptkit.interfaces import LayerCache

Constant = int | float | str | torch.dtype | torch.device | torch.Size | None
NEEDS = "this decoder needs caches"


def tensors_of(cache: LayerCache) -> dict[str, Tensor]:
    """Return a memory's tensors, by the names of its attributes."""
    return {name: value for name, value in vars(cache).items() if isinstance(value, Tensor)}


def constants_of(cache: LayerCache) -> dict[str, Constant]:
    """Return what else a memory keeps.

    Raises:
        NotImplementedError: If that can be written.
    """
    constants = {name: value for name, value in vars(cache).items() if not isinstance(value, Tensor)}
    for name, value in constants.items():
        if not isinstance(value, Constant):
            raise NotImplementedError(
                f"{NEEDS} whose state is in tensors, and {named(cache, name)} is {value!r}: make it a tensor, or "
                "choose another decoder"
            )
    return constants


def copy_state(kept: LayerCache, new: LayerCache) -> None:
    """Copy all tensors of a memory into those of another.

    Raises:
        NotImplementedError: If something else in it has changed, or a tensor has another size.
    """
    now, before = constants_of(new), constants_of(kept)
    if now != before:
        name = next(name for name in {**before, **now} if before.get(name) != now.get(name))
        raise NotImplementedError(
            f"{NEEDS} whose state is in tensors, and {named(new, name)} was {before.get(name)!r} and is "
            f"{now.get(name)!r}: make it a tensor, or choose another decoder"
        )
    tensors, places = tensors_of(new), tensors_of(kept)
    for name in {**places, **tensors}:
        if (was := kind_of(places.get(name))) != (kind := kind_of(tensors.get(name))):
            raise NotImplementedError(
                f"{NEEDS} that stay as large as they are, and {named(new, name)} was {was} and is {kind}: let it "
                "have room for a whole context, or choose another decoder"
            )
        if tensors[name] is not places[name]:
            places[name].copy_(tensors[name])


def check_apart(caches: Iterable[LayerCache]) -> None:
    """Raise NotImplementedError if to write a memory's tensor is to write another one too."""
    seen: dict[int, str] = {}
    for cache in caches:
        for name, tensor in tensors_of(cache).items():
            place = tensor.untyped_storage().data_ptr()
            if place in seen and tensor.numel():
                raise NotImplementedError(
                    f"{NEEDS} whose tensors lie apart, and {named(cache, name)} shares its storage with "
                    f"{seen[place]}: copy one of them, or choose another decoder"
                )
            seen[place] = named(cache, name)


def with_tensors(cache: LayerCache, tensors: Iterator[Tensor]) -> LayerCache:
    """Return a memory like another that keeps other tensors, in the order of `tensors_of`."""
    made = copy.copy(cache)
    for name in tensors_of(cache):
        setattr(made, name, next(tensors))
    return made


def named(cache: LayerCache, name: str) -> str:
    """Return the name of an attribute with that of its class."""
    return f"{type(cache).__name__}.{name}"


def kind_of(tensor: Tensor | None) -> str:
    """Return shape and dtype of a tensor, in words."""
    return "not there" if tensor is None else f"{str(tensor.dtype).partition('.')[2]} {tuple(tensor.shape)}"
