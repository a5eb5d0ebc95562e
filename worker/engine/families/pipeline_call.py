"""What the call of a diffusers pipeline takes, read from its signature: parameters, defaults and kinds of requests."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from common.jobs.request import ImageRequest, Mode
from common.models.catalog import ModelCard
from worker.engine.families.denoising import create_generator
from worker.engine.interface import Inputs
from worker.engine.torch_backend.optimizations import find_denoiser

DISTILLED = "distilled_guidance_scale"
"""Guidance that is an input of the model, if its transformer was distilled for that."""

GUIDANCE = ("guidance_scale", "true_cfg_scale", "prior_guidance_scale", DISTILLED)
"""Names of the guidance scale; where a pipeline has several, those without a default of their own are not in use."""

TRUE_CFG = "true_cfg_scale"
"""Guidance that is off without a negative prompt, so that a blank one has to stand for none."""

SIZE_MULTIPLE, LARGEST_SIZE, SMALLEST_SIZE = 32, 2048, 256
"""Limits of the sizes of a pipeline that Pressroom does not know."""


def list_defaults(pipeline: Any) -> Mapping[str, Any]:
    """Return the parameters of a pipeline's call with their defaults; ``inspect.Parameter.empty`` for none.

    Those that its model has no use for are left out.
    """
    defaults = _read_signature(type(pipeline).__call__)
    if getattr(getattr(find_denoiser(pipeline), "config", None), "guidance_embeds", True):
        return defaults
    return {name: default for name, default in defaults.items() if name != DISTILLED}


def find_modes(pipeline: Any) -> list[Mode]:
    """Return what a pipeline may generate from; if its picture has a default, the trial tells whether it is needed."""
    defaults = list_defaults(pipeline)
    if "image" not in defaults:
        return [Mode.TEXT]
    return [Mode.IMAGE] if defaults["image"] is inspect.Parameter.empty else [Mode.TEXT, Mode.IMAGE]


def derive_card_fields(pipeline: Any) -> dict[str, Any]:
    """Return the fields of a model card that the pipeline itself determines."""
    defaults = list_defaults(pipeline)
    # Beside guidance that is an input of the model, a negative prompt has no effect until true guidance is on.
    is_negative_used = "negative_prompt" in defaults and (
        TRUE_CFG not in defaults or find_guidance(defaults) == TRUE_CFG
    )
    fields: dict[str, Any] = {"modes": find_modes(pipeline), "negative_prompt": is_negative_used}
    if isinstance(defaults.get("num_inference_steps"), int):
        fields["default_steps"] = defaults["num_inference_steps"]
    name = find_guidance(defaults)
    if name is None:
        fields |= {"default_guidance_scale": 0.0, "guidance_scale": False}
    elif isinstance(defaults[name], int | float):
        fields["default_guidance_scale"] = float(defaults[name])
    return fields | _derive_sizes(pipeline, defaults)


def find_guidance(defaults: Mapping[str, Any]) -> str | None:
    """Return the name of the parameter that holds the guidance scale, or None if there is none."""
    names = [name for name in GUIDANCE if name in defaults]
    return next((name for name in names if defaults[name] is not None), next(iter(names), None))


def build_arguments(pipeline: Any, card: ModelCard, request: ImageRequest, seed: int, inputs: Inputs) -> dict[str, Any]:
    """Return the arguments of a call for one image of *request*, those that the pipeline's call accepts."""
    defaults = list_defaults(pipeline)
    wanted: dict[str, Any] = {
        "prompt": request.prompt,
        "width": request.width,
        "height": request.height,
        "max_area": request.width * request.height,  # which replaces the size (Flux Kontext)
        "num_inference_steps": request.steps,
        "generator": create_generator(seed),
        "output_type": "np",  # the one whose values are from 0 to 1 in every pipeline
        **_build_guidance(defaults, card, request),
    }
    if "intermediate_timesteps" in defaults and request.steps != defaults["num_inference_steps"]:
        wanted["intermediate_timesteps"] = None  # its default suits the default number of steps only (Sana-Sprint)
    if inputs.init_image is not None:
        size = (request.width, request.height)
        wanted["image"] = inputs.init_image.resize(size, Image.Resampling.LANCZOS)
        wanted["strength"] = request.strength
    return {name: value for name, value in wanted.items() if name in defaults}


def _build_guidance(defaults: Mapping[str, Any], card: ModelCard, request: ImageRequest) -> dict[str, Any]:
    name = find_guidance(defaults)
    guidance: dict[str, Any] = {}
    # Without a default the pipeline has a plan of its own, which only a request for another scale replaces.
    if name is not None and (defaults[name] is not None or request.guidance_scale != card.default_guidance_scale):
        guidance[name] = request.guidance_scale
    negative = request.negative_prompt or (" " if name == TRUE_CFG and request.is_guided else "")
    return guidance | ({"negative_prompt": negative} if negative else {})


def _derive_sizes(pipeline: Any, defaults: Mapping[str, Any]) -> dict[str, int]:
    width, height = defaults.get("width"), defaults.get("height")
    if not isinstance(width, int) or not isinstance(height, int):
        width = height = _find_sample_size(pipeline)
    if width is None or height is None:
        return {}
    width, height = (max(1, round(side / SIZE_MULTIPLE)) * SIZE_MULTIPLE for side in (width, height))
    return {
        "default_width": width,
        "default_height": height,
        "min_size": min(SMALLEST_SIZE, width, height),
        "max_size": max(LARGEST_SIZE, width, height),
    }


def _find_sample_size(pipeline: Any) -> int | None:
    """Return the pixels of a side for which the model was trained, as its pipeline computes them."""
    denoiser = find_denoiser(pipeline)
    trained = getattr(pipeline, "default_sample_size", None) or getattr(
        getattr(denoiser, "config", None), "sample_size", None
    )
    factor = getattr(pipeline, "vae_scale_factor", None)
    return trained * factor if isinstance(trained, int) and isinstance(factor, int) else None


@functools.cache
def _read_signature(call: Callable[..., Any]) -> Mapping[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(call).parameters.items()}
