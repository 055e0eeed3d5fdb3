"""Reads and writes safetensors files, and checks a header against the file before memory is allocated."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from gptkit.errors import CheckpointError
from gptkit.storage.safe_read import open_file

# Enough for 100,000 tensors; parsed, it takes a few times as much memory.
HEADER_LIMIT = 16 << 20
BYTES = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"), 1),
}
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of a file of tensors."""
    return save({name: tensor.contiguous() for name, tensor in tensors.items()})


def read(file: Path, expected: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Tensor]:
    """Return the tensors of a file.

    Args:
        expected: The shape of every tensor that it must hold; None accepts any.

    Raises:
        CheckpointError: If the file is damaged, hostile or no safetensors file, or holds other tensors; before
            memory is allocated for any.
    """
    found = shapes(file)
    if expected is not None and (wrong := shape_errors(found, expected)):
        raise CheckpointError(f"{file} does not fit the model: {'; '.join(wrong)}")
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error


def shape_errors(found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return how tensors differ from those expected, the first few of each kind."""
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    others = [
        f"{name} is {list(found[name])}, expected {list(shape)}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    kinds = {"it lacks": missing, "it has besides": extra, "": others}
    return [
        f"{title} {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}".strip()
        for title, names in kinds.items()
        if names
    ]


def shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor in a file, from its header.

    Raises:
        CheckpointError: If the header is none, or does not match the size of the file.
    """
    with open_file(file) as opened:
        start = opened.read(8)
        size = opened.seek(0, 2)
        if start.startswith(PICKLES):
            raise CheckpointError(
                f"{file} cannot be read: it is a pickle, which can run any code, and gptkit opens none"
            )
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(HEADER_LIMIT, size - 8):
            raise CheckpointError(f"{file} cannot be read: no safetensors file: a header of {length:,} bytes")
        opened.seek(8)
        header = opened.read(length)
    try:
        return shapes_in(json.loads(header.decode("utf-8")), size - 8 - length)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} cannot be read: no safetensors file: {error}") from None


def shapes_in(header: Any, size: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes in a header, or raise ValueError unless its tensors fill exactly `size` bytes."""
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    header.pop("__metadata__", None)
    found: dict[str, tuple[int, ...]] = {}
    spans: list[tuple[int, int]] = []
    for name, entry in header.items():
        match entry:
            case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(begin), int(end)]}:
                pass
            case _:
                raise ValueError(f"the entry of {name!r} is no tensor's")
        if not all(type(length) is int and length >= 0 for length in shape):
            raise ValueError(f"{name!r} has the shape {shape}")
        if dtype not in BYTES or end - begin != math.prod(shape) * BYTES[dtype]:
            raise ValueError(f"{name!r} of {dtype} and shape {shape} does not take {end - begin:,} bytes")
        found[name] = tuple(shape)
        spans.append((begin, end))
    last = 0
    for begin, end in sorted(spans):
        if begin != last:
            raise ValueError(f"its tensors overlap or leave a gap at byte {last:,}")
        last = end
    if last != size:
        raise ValueError(f"its tensors take {last:,} bytes, and there are {size:,}")
    return found
