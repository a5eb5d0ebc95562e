"""Convert between the campaign form and the body of a campaign request."""

from collections.abc import Mapping
from typing import Any

from flask import request
from werkzeug.datastructures import MultiDict

from api.campaigns.schemas import MOST_VARIANTS

USUAL_ARMS = 3
"""Number of variants in the form, unless the campaign that is copied has more."""

ARM_FIELDS = ("name", "style", "prompt")
GENERATION_FIELDS = ("width", "height", "steps")
SHOWN_DEFAULTS = ("model", *GENERATION_FIELDS)
SHOWN_FIELDS = ("name", "template", "budget", "style", "on_block", "fallback_image", "images_per_recipient")
"""The fields of a request that the form shows; of ``defaults`` and ``variants`` it shows a part."""

NEVER_COPIED = ("start_at", "deadline")
"""The moments of a campaign mean nothing to a copy of it."""


def parse_campaign_form(form: MultiDict[str, str], copied: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request body of the form, with what it does not show from the body of the *copied* campaign.

    Empty fields are omitted, valid numbers are converted.
    """
    said = {name: text.strip() for name, text in form.items() if text.strip()}
    look = {name: _parse_number(said[name]) for name in GENERATION_FIELDS if name in said}
    if "model" in said:
        look["model"] = said["model"]
    fields: dict[str, Any] = {
        **_list_hidden_fields(copied),
        "name": said.get("name", ""),
        "template": _pick_fields(said, {"prompt": "prompt", "negative_prompt": "negative_prompt"}),
        "budget": {"amount": said.get("budget", "")},
        **_pick_fields(said, {"style": "style", "on_block": "on_block", "fallback_image": "fallback_image"}),
    }
    fields["template"].setdefault("prompt", "")
    if fields.get("on_block") != "fallback":
        fields.pop("fallback_image", None)
    if defaults := _list_hidden_defaults(copied) | look:
        fields["defaults"] = defaults
    if "images_per_recipient" in said:
        fields["images_per_recipient"] = _parse_number(said["images_per_recipient"])
    arms = (copied.get("variants") or []) + [{}] * MOST_VARIANTS
    variants = [_parse_arm(said, place, fields["template"], arms[place]) for place in _list_arm_places(said)]
    if variants:
        fields["variants"] = variants
    return fields


def fill_campaign_form(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form values for *fields*."""
    arms = [
        {"name": arm.get("name"), "prompt": (arm.get("template") or {}).get("prompt"), "style": arm.get("style")}
        for arm in fields.get("variants") or ()
    ]
    return {
        **{name: (fields.get("defaults") or {}).get(name) for name in SHOWN_DEFAULTS},
        **(fields.get("template") or {}),
        **{name: fields[name] for name in ("name", "style", "on_block", "fallback_image") if fields.get(name)},
        "images_per_recipient": fields.get("images_per_recipient"),
        "budget": (fields.get("budget") or {}).get("amount"),
        "arms": arms + [{}] * (max(USUAL_ARMS, count_arms(request.form)) - len(arms)),
    }


def name_hidden_settings(copied: Mapping[str, Any]) -> list[str]:
    """Return the names of the settings of a campaign that are copied without being shown in the form."""
    arms = [name for arm in copied.get("variants") or () for name in arm if name not in ("name", "style", "template")]
    names = [*_list_hidden_fields(copied), *_list_hidden_defaults(copied), *(f"{name} of variants" for name in arms)]
    return [name.replace("_", " ") for name in dict.fromkeys(names)]


def name_field(pointer: str) -> str:
    """Return the form's name of the field at *pointer* in the body of the form of the current request."""
    match pointer.removeprefix("/").split("/"):
        case ["template" | "budget" as first]:
            return "prompt" if first == "template" else first
        case ["template" | "defaults", name, *_]:
            return name
        case ["variants", place, *rest]:
            said = {name: text for name, text in request.form.items() if text.strip()}
            return f"arm-{rest[-1] if rest else 'name'}-{_list_arm_places(said)[int(place)]}"
        case [name, *_]:
            return name
    return ""


def count_arms(form: Mapping[str, str]) -> int:
    """Return how many variants a form has fields for."""
    return sum(f"arm-name-{place}" in form for place in range(MOST_VARIANTS))


def _list_hidden_fields(copied: Mapping[str, Any]) -> dict[str, Any]:
    left = (*SHOWN_FIELDS, *NEVER_COPIED, "defaults", "variants")
    return {name: value for name, value in copied.items() if name not in left}


def _list_hidden_defaults(copied: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (copied.get("defaults") or {}).items() if name not in SHOWN_DEFAULTS}


def _list_arm_places(said: Mapping[str, str]) -> list[int]:
    """Return the places of the variants of which a field is filled in."""
    return [place for place in range(MOST_VARIANTS) if any(f"arm-{name}-{place}" in said for name in ARM_FIELDS)]


def _parse_arm(
    said: Mapping[str, str], place: int, template: Mapping[str, str], copied: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the variant at *place*: what the form does not show of it is that of the *copied* one."""
    arm = {name: value for name, value in copied.items() if name not in ("name", "style", "template")}
    arm |= {"name": "", **_pick_fields(said, {f"arm-name-{place}": "name", f"arm-style-{place}": "style"})}
    prompt = said.get(f"arm-prompt-{place}")
    if prompt is not None:
        arm["template"] = {**(copied.get("template") or template), "prompt": prompt}
    return arm


def _pick_fields(said: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    return {name: said[field] for field, name in names.items() if field in said}


def _parse_number(text: str) -> Any:
    """Return *text* as a number, or unchanged so that validation rejects it and names the field."""
    try:
        return int(text)
    except ValueError:
        return text
