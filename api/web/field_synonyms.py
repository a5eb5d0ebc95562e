"""Suggests a field's name for one that a client sent: the name of the same thing in another API, or a misspelling."""

import difflib
import re
from collections.abc import Collection, Mapping

LONGEST_NAME = 64

CLOSE = 0.7
"""How much of two names must be the same for one to be a misspelling of the other; `steps` is none of `style`."""

_HOW_MANY = (
    *("n", "num_outputs", "num_samples", "n_samples", "samples", "images", "image_count", "batch_count", "batch_size"),
    *("num_images_per_prompt", "number_of_images", "n_iter", "count", "number_results", "quantity"),
)
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

SYNONYMS: dict[str, tuple[str, ...]] = {
    "prompt": ("text", "text_prompt", "description", "positive_prompt", "input", "caption"),
    "template": ("prompt", "prompt_template", "message"),
    "negative_prompt": ("negative", "neg_prompt", "negative_prompts", "negativeprompt", "uc"),
    "steps": ("num_inference_steps", "inference_steps", "num_steps", "sampling_steps", "ddim_steps", "iterations"),
    "num_images": _HOW_MANY,
    "images_per_recipient": (*_HOW_MANY, "num_images"),
    "guidance_scale": ("cfg_scale", "cfg", "guidance", "cfgscale", "scale"),
    "scheduler": ("sampler", "sampler_name", "sampler_index", "sampling_method"),
    "seed": ("random_seed", "noise_seed", "manual_seed"),
    "width": ("w", "size", "image_size", "resolution", "aspect_ratio", "dimensions"),
    "height": ("h",),
    "model": ("model_id", "model_name", "checkpoint", "engine", "engine_id", "sd_model_checkpoint", "base_model"),
    "adapters": ("lora", "loras", "lora_weights", "lora_scale"),
    "scale": ("weight", "strength"),
    "init_image": ("image", "image_url", "input_image", "init_images", "source_image", "reference_image"),
    "mask_image": ("mask", "mask_url", "inpaint_mask"),
    "strength": ("denoising_strength", "image_strength", "prompt_strength", "denoise"),
    "output_format": ("format", "response_format", "image_format", "file_type", "output_type"),
    "webhook_url": ("webhook", "callback", "callback_url", "notify_url", "hook"),
    "webhook_events": ("events", "webhook_events_filter"),
    "deadline_s": ("timeout", "ttl", "deadline", "expires_in", "max_wait"),
    "deadline": ("deadline_s", "expires_at", "end_at"),
    "start_at": ("scheduled_at", "send_at", "start"),
    "metadata": ("tags", "labels", "extra", "custom_data"),
    "defaults": ("parameters", "generation", "settings", "options"),
    "budget": ("max_cost", "limit", "amount", "max_budget", "cost_limit"),
    "amount": ("budget", "value", "max", "total", "limit", "max_cost", "max_amount", "cost_limit"),
    "variants": ("arms", "versions", "ab_test"),
    "name": ("title", "label"),
    "palette": ("colours", "colors", "brand_colours"),
    "fallback_image": ("fallback", "default_image"),
    "limit": ("per_page", "page_size", "count", "size", "max_results"),
    "cursor": ("page", "after", "next", "page_token", "offset"),
    "from": ("since", "start", "begin"),
    "to": ("until", "end"),
    "id_column": ("id", "key", "id_field", "key_column"),
}
"""For each field the names that the same thing has elsewhere; a name may stand for several fields."""


def suggest_field(name: str, known: Collection[str], elsewhere: Mapping[str, str] | None = None) -> str | None:
    """Return the field that *name* probably means; None if nothing resembles it.

    It is one of the *known* fields of the object, or of those *elsewhere* in the body, whose places are given by name.
    """
    wanted = _CAPITAL.sub("_", name[:LONGEST_NAME]).lower().replace("-", "_")
    if meant := _find_field(wanted, known):
        return meant
    places = elsewhere or {}
    if meant := _find_field(wanted, places):
        return places[meant]
    return next(iter(difflib.get_close_matches(wanted, known, n=1, cutoff=CLOSE)), None)


def _find_field(wanted: str, known: Collection[str]) -> str | None:
    if wanted in known:
        return wanted
    return next((field for field, names in SYNONYMS.items() if field in known and wanted in names), None)
