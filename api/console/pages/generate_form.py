"""Between the form that orders a picture and the wish that the api knows."""

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import MultiDict

from api.jobs.schemas import Request
from common.jobs.styles import StyleSpec

WHOLE = ("width", "height", "steps", "num_images", "seed")
BROKEN = ("guidance_scale", "strength")
WORDS = (
    "prompt",
    "negative_prompt",
    "model",
    "scheduler",
    "output_format",
    "init_image",
    "mask_image",
    "priority",
    "style",
)


def read(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return the body that the form stands for: empty fields left out, numbers as numbers where they are some."""
    wish: dict[str, Any] = {}
    for name in (*WHOLE, *BROKEN, *WORDS):
        text = form.get(name, "").strip()
        if text:
            wish[name] = read_number(text) if name not in WORDS else text
    adapters = [_read_adapter(name, form.get(f"scale:{name}", "").strip()) for name in form.getlist("adapter")]
    if adapters:
        wish["adapters"] = adapters
    if "init_image" not in wish:
        wish.pop("strength", None)  # its slider is always there, and means nothing without a picture
    return wish


def leave_to_style(wish: dict[str, Any], spec: StyleSpec) -> dict[str, Any]:
    """Return *wish* without what a style says of the look: every field of the form is filled in, asked for or not."""
    said = {name for name, value in spec.model_dump().items() if value not in (None, (), "")}
    return {name: value for name, value in wish.items() if name not in said}


def of_request(request: Request) -> dict[str, Any]:
    """Return the wish that asks for the same again."""
    return {name: value for name, value in request.model_dump(mode="json").items() if value not in (None, [], "")}


def fill(wish: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in the form for *wish*."""
    scales = {str(each["name"]): each.get("scale") for each in wish.get("adapters", []) if "name" in each}
    return {**wish, "adapters": scales}


def _read_adapter(name: str, scale: str) -> dict[str, Any]:
    return {"name": name, "scale": read_number(scale)} if scale else {"name": name}


def read_number(text: str) -> Any:
    """Return the number that *text* spells; else the text, so that the wish is refused with its place."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
