"""Convert between the campaign form and the body of a campaign request."""

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import MultiDict

FORM_ARMS = 3
"""Number of variants in the form; the API accepts more."""

GENERATION_FIELDS = ("width", "height", "steps")


def parse_campaign_form(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return the request body of the form; empty fields are omitted, valid numbers are converted."""
    said = {name: text.strip() for name, text in form.items() if text.strip()}
    look = {name: _parse_number(said[name]) for name in GENERATION_FIELDS if name in said}
    if "model" in said:
        look["model"] = said["model"]
    fields: dict[str, Any] = {
        "name": said.get("name", ""),
        "template": _pick_fields(said, {"prompt": "prompt", "negative_prompt": "negative_prompt"}),
        "budget": {"amount": said.get("budget", "")},
        **_pick_fields(said, {"style": "style", "on_block": "on_block", "fallback_image": "fallback_image"}),
    }
    fields["template"].setdefault("prompt", "")
    if fields.get("on_block") != "fallback":
        fields.pop("fallback_image", None)
    if look:
        fields["defaults"] = look
    if "images_per_recipient" in said:
        fields["images_per_recipient"] = _parse_number(said["images_per_recipient"])
    arms = [arm for place in range(FORM_ARMS) if (arm := _parse_arm(said, place, fields["template"])) is not None]
    if arms:
        fields["variants"] = arms
    return fields


def fill_campaign_form(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form values for *fields*."""
    arms = [
        {"name": arm.get("name"), "prompt": (arm.get("template") or {}).get("prompt"), "style": arm.get("style")}
        for arm in fields.get("variants") or ()
    ]
    return {
        **(fields.get("defaults") or {}),
        **(fields.get("template") or {}),
        **{name: fields[name] for name in ("name", "style", "on_block", "fallback_image") if fields.get(name)},
        "images_per_recipient": fields.get("images_per_recipient"),
        "budget": (fields.get("budget") or {}).get("amount"),
        "arms": (arms + [{}] * FORM_ARMS)[:FORM_ARMS],
    }


def _parse_arm(said: Mapping[str, str], place: int, words: Mapping[str, str]) -> dict[str, Any] | None:
    arm: dict[str, Any] = _pick_fields(said, {f"arm-name-{place}": "name", f"arm-style-{place}": "style"})
    prompt = said.get(f"arm-prompt-{place}")
    if prompt is not None:
        arm["template"] = {**words, "prompt": prompt}
    return {"name": "", **arm} if arm else None


def _pick_fields(said: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    return {name: said[field] for field, name in names.items() if field in said}


def _parse_number(text: str) -> Any:
    """Return *text* as a number, or unchanged so that validation rejects it and names the field."""
    try:
        return int(text)
    except ValueError:
        return text
