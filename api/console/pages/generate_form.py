"""Convert between the Generate form and the body of a job request."""

from typing import Any

from werkzeug.datastructures import MultiDict

from api.console.routing import name_first_part
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
    "style",
)
FIELDS = (*INTEGER_FIELDS, *FLOAT_FIELDS, *TEXT_FIELDS, "adapters")
"""The fields of a request that the form has."""

ADAPTER, SCALE = "adapter", "scale:"
"""The form's name of the adapters that are ticked, and the beginning of the name of an adapter's strength."""


def parse_generate_form(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return the request body of the form; empty fields are omitted, valid numbers are converted."""
    fields: dict[str, Any] = {}
    for name in (*INTEGER_FIELDS, *FLOAT_FIELDS, *TEXT_FIELDS):
        text = form.get(name, "").strip()
        if text:
            fields[name] = parse_number(text) if name not in TEXT_FIELDS else text
    adapters = [_parse_adapter(name, form.get(f"{SCALE}{name}", "").strip()) for name in form.getlist(ADAPTER)]
    if adapters:
        fields["adapters"] = adapters
    if "init_image" not in fields:
        fields.pop("strength", None)  # the form always sends a value, which needs a source image
    return fields


def drop_styled_fields(fields: dict[str, Any], spec: StyleSpec) -> dict[str, Any]:
    """Return *fields* without the fields that the style sets: the form always fills in all of them."""
    said = {name for name, value in spec.model_dump().items() if value not in (None, (), "")}
    return {name: value for name, value in fields.items() if name not in said}


def fill_generate_form(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the form values for the request body *fields*: the adapters by name, and their scales."""
    adapters = fields.get("adapters", [])
    scales = {each["name"]: each["scale"] for each in adapters if each.get("scale") is not None}
    return {**fields, "adapters": [each["name"] for each in adapters], "scales": scales}


def return_generate_form(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return the form values as they were typed."""
    scales = {name.removeprefix(SCALE): text for name, text in form.items() if name.startswith(SCALE)}
    return {
        **{name: form.get(name, "") for name in FIELDS if name != "adapters"},
        "adapters": form.getlist(ADAPTER),
        "scales": scales,
    }


def name_field(pointer: str) -> str:
    """Return the form's name of the field at *pointer*."""
    part = name_first_part(pointer)
    return ADAPTER if part == "adapters" else part


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
