"""Convert between the Generate form and the body of a job request."""

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import MultiDict

from api.jobs.schemas import Request
from common.jobs.styles import StyleSpec

INTEGER_FIELDS = ("width", "height", "steps", "num_images", "seed")
FLOAT_FIELDS = ("guidance_scale", "strength")
TEXT_FIELDS = (
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


def parse_generate_form(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return the request body of the form; empty fields are omitted, valid numbers are converted."""
    fields: dict[str, Any] = {}
    for name in (*INTEGER_FIELDS, *FLOAT_FIELDS, *TEXT_FIELDS):
        text = form.get(name, "").strip()
        if text:
            fields[name] = parse_number(text) if name not in TEXT_FIELDS else text
    adapters = [_parse_adapter(name, form.get(f"scale:{name}", "").strip()) for name in form.getlist("adapter")]
    if adapters:
        fields["adapters"] = adapters
    if "init_image" not in fields:
        fields.pop("strength", None)  # the slider always sends a value, which needs a source image
    return fields


def drop_styled_fields(fields: dict[str, Any], spec: StyleSpec) -> dict[str, Any]:
    """Return *fields* without the fields that the style sets: the form always fills in all of them."""
    said = {name for name, value in spec.model_dump().items() if value not in (None, (), "")}
    return {name: value for name, value in fields.items() if name not in said}


def build_from_request(request: Request) -> dict[str, Any]:
    """Return the body that repeats *request*."""
    return {name: value for name, value in request.model_dump(mode="json").items() if value not in (None, [], "")}


def fill_generate_form(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form values for *fields*."""
    scales = {str(each["name"]): each.get("scale") for each in fields.get("adapters", []) if "name" in each}
    return {**fields, "adapters": scales}


def _parse_adapter(name: str, scale: str) -> dict[str, Any]:
    return {"name": name, "scale": parse_number(scale)} if scale else {"name": name}


def parse_number(text: str) -> Any:
    """Return *text* as a number, or unchanged so that validation rejects it and names the field."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
