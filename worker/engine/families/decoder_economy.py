"""Ways in which a pipeline's decoder saves memory at the expense of time, and of a little accuracy in the last."""

from collections.abc import Sequence
from typing import Any

SLICING, TILING = "use_slicing", "use_tiling"
"""Switches of diffusers' autoencoders: one picture at a time, and each picture in overlapping tiles."""


def count_economies(pipeline: Any, switches: Sequence[str] = (SLICING, TILING)) -> int:
    """Return how many of the *switches* the decoder has."""
    return len(_list_switches(pipeline, switches))


def set_economy(pipeline: Any, level: int, switches: Sequence[str] = (SLICING, TILING)) -> None:
    """Let the decoder save memory in the first *level* ways, and in no others."""
    for place, name in enumerate(_list_switches(pipeline, switches)):
        setattr(pipeline.vae, name, place < level)


def _list_switches(pipeline: Any, switches: Sequence[str]) -> list[str]:
    vae = getattr(pipeline, "vae", None)
    return [name for name in switches if hasattr(vae, name)]
