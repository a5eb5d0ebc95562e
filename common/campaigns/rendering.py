"""Renders the image requests of a recipient (variant, prompt and seed), deterministically."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from common.campaigns import placeholders, templates
from common.campaigns.spec import Arm, CampaignSpec, SeedRule
from common.campaigns.templates import MissingValueError, TemplateError
from common.errors import PressroomError
from common.jobs import prompt_text
from common.jobs.request import LARGEST_SEED, ImageRequest
from common.jobs.styles import StyleSpec

LONGEST_PROMPT = prompt_text.LONGEST_PROMPT


class RecipientLike(Protocol):
    """What is asked of a recipient: a row of the table is one."""

    key: str
    fields: dict[str, str]
    arm: str


@dataclass(frozen=True)
class RenderedPrompts:
    """What a model reads for one recipient."""

    prompt: str
    negative_prompt: str


class RenderingError(PressroomError):
    """A recipient's values make no prompt; ``column`` is the one to look at, or empty."""

    def __init__(self, code: str, column: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.column = column


def choose_arm(spec: CampaignSpec, salt: bytes, key: str) -> Arm:
    """Return the arm of the recipient called *key*: shared out by weight, and the same every time."""
    if len(spec.arms) == 1:
        return spec.arms[0]
    drawn = _derive_number(salt, "arm", key) % sum(arm.weight for arm in spec.arms)
    for arm in spec.arms:
        drawn -= arm.weight
        if drawn < 0:
            break
    return arm


def render_prompts(arm: Arm, values: Mapping[str, str]) -> RenderedPrompts:
    """Return the prompts of *arm* for a recipient's *values* by column; raise RenderingError."""
    given = {name: value for name, value in placeholders.spell_values(values).items() if value}
    prompt = prompt_text.clean_text(
        _build_style(arm.prefix, arm.suffix).wrap(_fill_template(arm.template.prompt, given))
    )
    if prompt_text.is_blank(prompt):
        raise RenderingError("prompt_required", "", "The rendered prompt is empty.")
    negative = arm.template.negative_prompt and prompt_text.clean_text(
        _fill_template(arm.template.negative_prompt, given)
    )
    _check_length("prompt", prompt)
    _check_length("negative prompt", negative)
    return RenderedPrompts(prompt, negative or arm.request.negative_prompt)


def build_request(
    spec: CampaignSpec, salt: bytes, recipient: RecipientLike, index: int, rerolls: int = 0
) -> tuple[ImageRequest, str]:
    """Return the complete request for one picture of *recipient*, and the digest by which equal pictures are known.

    Pictures of one campaign with the same digest are the same picture: neither is the seed in it nor how often it was
    rolled. Raises RenderingError.
    """
    arm = spec.arm(recipient.arm)
    words = render_prompts(arm, recipient.fields)
    told = arm.request.model_copy(
        update={"prompt": words.prompt, "negative_prompt": words.negative_prompt, "seed": 0, "num_images": 1}
    )
    asked = [told.model_dump(mode="json", exclude={"seed", "fallback_image"}), arm.palette, index]
    if spec.seed_rule is SeedRule.RECIPIENT:
        asked.append(recipient.key)  # its seed is nobody else's, and so is its picture
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    seed = _choose_seed(spec, salt, recipient.key, digest, index, rerolls)
    return told.model_copy(update={"seed": seed}), digest


def collect_variables(spec: CampaignSpec) -> frozenset[str]:
    """Return the names that the templates of all arms use."""
    sources = [text for arm in spec.arms for text in (arm.template.prompt, arm.template.negative_prompt)]
    return frozenset(name for source in sources for name in templates.compile_template(source).variables)


def _check_length(name: str, text: str) -> None:
    if len(text) > LONGEST_PROMPT:
        detail = f"The {name} has {len(text)} characters; it must not exceed {LONGEST_PROMPT}."
        raise RenderingError("too_long", "", detail)


def _choose_seed(spec: CampaignSpec, salt: bytes, key: str, digest: str, index: int, rerolls: int) -> int:
    if spec.seed_rule is SeedRule.FIXED and not rerolls:
        return (spec.seed + index) % (LARGEST_SEED + 1)
    source = key if spec.seed_rule is SeedRule.RECIPIENT else digest
    return _derive_number(salt, "seed", source, str(index), str(rerolls)) % (LARGEST_SEED + 1)


def _derive_number(salt: bytes, *parts: str) -> int:
    """Return 256 bits that cannot be predicted without *salt*, from parts with unambiguous boundaries."""
    return int.from_bytes(hmac.digest(salt, "\0".join(parts).encode(), hashlib.sha256))


@lru_cache(64)
def _build_style(prefix: str, suffix: str) -> StyleSpec:
    return StyleSpec(prompt_prefix=prefix, prompt_suffix=suffix)


def _fill_template(source: str, values: Mapping[str, str]) -> str:
    try:
        return templates.compile_template(source).render(values)
    except MissingValueError as error:
        detail = f"{error.name} is empty, and the template has no default for it."
        raise RenderingError("missing_value", error.name, detail) from None
    except TemplateError as error:
        raise RenderingError(error.code, "", f"The template {error.message}.") from None
