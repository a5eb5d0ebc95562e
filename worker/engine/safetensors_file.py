"""Whether a safetensors file is whole: its header makes sense, and its tensors fill the rest, end to end."""

import json
import math
from pathlib import Path
from typing import Any

from common.errors import ModelUnavailableError

LARGEST_HEADER = 100_000_000
LENGTH_BYTES = 8
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
}  # fmt: skip
"""Bits of a number, by the format's name of its type; types beyond these are refused."""


def examine(path: Path) -> None:
    """Raise ModelUnavailableError, a plain sentence, unless the file at *path* is whole."""
    try:
        fault = _find_fault(path)
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
    if fault is not None:
        raise ModelUnavailableError(f"The weights {path} are damaged: the file {fault}; fetch it again.")


def _find_fault(path: Path) -> str | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if size < LENGTH_BYTES or length > min(LARGEST_HEADER, size - LENGTH_BYTES):
            return f"of {size} bytes cannot hold a header of {length}"
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError):
            return "has a header that is no JSON"
    if not isinstance(header, dict):
        return "has a header that is no object"
    return _find_gap(header, size - LENGTH_BYTES - length)


def _find_gap(header: dict[str, Any], size: int) -> str | None:
    tensors = [(name, tensor) for name, tensor in header.items() if name != "__metadata__"]
    try:
        places = sorted((*_ends_of(tensor), _bytes_of(tensor), name) for name, tensor in tensors)
    except (TypeError, KeyError, ValueError):
        return "describes a tensor in a way that is not known"
    reached = 0
    for begin, end, wanted, name in places:
        if begin != reached or end - begin != wanted:
            return f"has its tensor {name} in the wrong place"
        reached = end
    return None if reached == size else f"should hold {reached} bytes of tensors and holds {size}"


def _ends_of(tensor: dict[str, Any]) -> tuple[int, int]:
    begin, end = tensor["data_offsets"]
    return begin, end


def _bytes_of(tensor: dict[str, Any]) -> int:
    shape = tensor["shape"]
    if not all(isinstance(side, int) and side >= 0 for side in shape):
        raise ValueError("no shape")
    return math.prod(shape) * BITS[tensor["dtype"]] // 8
