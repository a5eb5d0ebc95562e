"""Which models are distilled to few steps without guidance; their pipelines have the defaults of the full model."""

import re
from collections.abc import Mapping
from typing import Any

FEW_STEPS = {"turbo": 8, "hyper": 8, "lightning": 4, "schnell": 4, "klein": 4, "lcm": 4, "sprint": 2}
"""Steps by the word in a model's name that says so."""

USUAL_STEPS = 8
"""Steps of a model whose index says that it is distilled and whose name does not."""

_FLAG = "is_distilled"
_WORD = re.compile(r"[a-z]+")


def find_few_steps(name: str, index: Mapping[str, Any]) -> int | None:
    """Return the steps that a distilled model needs, or None if neither its name nor its index says that it is one."""
    words = [FEW_STEPS[word] for word in _WORD.findall(name) if word in FEW_STEPS]
    flag = index.get(_FLAG)
    if flag is False:
        return None
    return next(iter(words), USUAL_STEPS if flag is True else None)


def derive_distilled_fields(name: str, index: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what replaces *fields* of the card of a distilled model; a pipeline made for few steps keeps its own."""
    steps = find_few_steps(name, index)
    if steps is None or fields["default_steps"] <= max(FEW_STEPS.values()):
        return {}
    return {"default_steps": steps, "default_guidance_scale": 0.0}
