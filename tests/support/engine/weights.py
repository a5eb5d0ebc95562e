"""Safetensors files of zeros, written without torch."""

import json
import struct
from pathlib import Path

LAYER = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k"


def write(path: Path, tensors: dict[str, tuple[int, ...]], metadata: dict[str, str] | None = None) -> Path:
    """Write a safetensors file of zeros."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, shape in tensors.items():
        begin, end = end, end + 2 * shape[0] * shape[1]
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))
    return path


def lora(path: Path, width: int = 768, metadata: dict[str, str] | None = None) -> Path:
    return write(path, {f"{LAYER}.lora_A.weight": (2, width), f"{LAYER}.lora_B.weight": (320, 2)}, metadata)
