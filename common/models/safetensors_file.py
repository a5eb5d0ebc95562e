"""Reads the header of a safetensors file and checks that the file is complete."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import ModelUnavailableError

RISKY = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pt2", ".pkl", ".pickle", ".msgpack", ".h5", ".dll", ".so"})
"""Other kinds of weights, whose reading can run code, and code itself."""

LARGEST_HEADER = 100_000_000
LENGTH_BYTES = 8
METADATA = "__metadata__"
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
}  # fmt: skip
"""Bits of a number, by the format's name of its type; types beyond these are refused."""


@dataclass(frozen=True)
class SafetensorsHeader:
    """What a file holds: the shape of each tensor by its name, and the texts that its maker put in."""

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]


def read_header(path: Path) -> SafetensorsHeader:
    """Return the header of the file at *path*; raise ModelUnavailableError, a plain sentence, unless it is whole."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            if size < LENGTH_BYTES or length > min(LARGEST_HEADER, size - LENGTH_BYTES):
                raise _build_damage_error(path, f"of {size} bytes is too short for a header of {length} bytes")
            header = json.loads(file.read(length))
    except OSError as error:
        raise _build_damage_error(path, f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError):
        raise _build_damage_error(path, "has a header that is not JSON") from None
    metadata = header.pop(METADATA, {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise _build_damage_error(path, "has a header that is not an object of tensors and texts")
    fault = _find_gap(header, size - LENGTH_BYTES - length)
    if fault is not None:
        raise _build_damage_error(path, fault)
    return SafetensorsHeader({name: tuple(tensor["shape"]) for name, tensor in header.items()}, metadata)


def _build_damage_error(path: Path, fault: str) -> ModelUnavailableError:
    return ModelUnavailableError(f"The weights {path} are damaged: the file {fault}; download it again.")


def _find_gap(tensors: dict[str, Any], size: int) -> str | None:
    try:
        places = sorted((*_parse_offsets(tensor), _count_bytes(tensor), name) for name, tensor in tensors.items())
    except (TypeError, KeyError, ValueError):
        return "has an unknown tensor description"
    reached = 0
    for begin, end, wanted, name in places:
        if begin != reached or end - begin != wanted:
            return f"has its tensor {name} in the wrong place"
        reached = end
    return None if reached == size else f"should contain {reached} bytes of tensors, but contains {size}"


def _parse_offsets(tensor: dict[str, Any]) -> tuple[int, int]:
    begin, end = tensor["data_offsets"]
    return begin, end


def _count_bytes(tensor: dict[str, Any]) -> int:
    shape = tensor["shape"]
    if not all(isinstance(side, int) and side >= 0 for side in shape):
        raise ValueError("no shape")
    count: int = math.prod(shape)
    return count * BITS[tensor["dtype"]] // 8
