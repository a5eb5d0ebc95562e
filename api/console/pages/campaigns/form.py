"""Between the form that makes a campaign and the wish that the api knows."""

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import MultiDict

ARMS = 3
"""Variants that the form has room for; the api takes more."""

LOOK = ("width", "height", "steps")


def read(form: MultiDict[str, str]) -> dict[str, Any]:
    """Return the body that the form stands for: empty fields left out, numbers as numbers where they are some."""
    said = {name: text.strip() for name, text in form.items() if text.strip()}
    look = {name: _read_number(said[name]) for name in LOOK if name in said}
    if "model" in said:
        look["model"] = said["model"]
    wish: dict[str, Any] = {
        "name": said.get("name", ""),
        "template": _take(said, {"prompt": "prompt", "negative_prompt": "negative_prompt"}),
        "budget": {"amount": said.get("budget", "")},
        **_take(said, {"style": "style", "on_block": "on_block", "fallback_image": "fallback_image"}),
    }
    wish["template"].setdefault("prompt", "")
    if wish.get("on_block") != "fallback":
        wish.pop("fallback_image", None)
    if look:
        wish["defaults"] = look
    if "images_per_recipient" in said:
        wish["images_per_recipient"] = _read_number(said["images_per_recipient"])
    arms = [arm for place in range(ARMS) if (arm := _read_arm(said, place, wish["template"])) is not None]
    if arms:
        wish["variants"] = arms
    return wish


def fill(wish: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in the form for *wish*."""
    arms = [
        {"name": arm.get("name"), "prompt": (arm.get("template") or {}).get("prompt"), "style": arm.get("style")}
        for arm in wish.get("variants") or ()
    ]
    return {
        **(wish.get("defaults") or {}),
        **(wish.get("template") or {}),
        **{name: wish[name] for name in ("name", "style", "on_block", "fallback_image") if wish.get(name)},
        "images_per_recipient": wish.get("images_per_recipient"),
        "budget": (wish.get("budget") or {}).get("amount"),
        "arms": (arms + [{}] * ARMS)[:ARMS],
    }


def _read_arm(said: Mapping[str, str], place: int, words: Mapping[str, str]) -> dict[str, Any] | None:
    arm: dict[str, Any] = _take(said, {f"arm-name-{place}": "name", f"arm-style-{place}": "style"})
    prompt = said.get(f"arm-prompt-{place}")
    if prompt is not None:
        arm["template"] = {**words, "prompt": prompt}
    return {"name": "", **arm} if arm else None


def _take(said: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    return {name: said[field] for field, name in names.items() if field in said}


def _read_number(text: str) -> Any:
    """Return the number that *text* spells; else the text, so that the wish is refused with its place."""
    try:
        return int(text)
    except ValueError:
        return text
