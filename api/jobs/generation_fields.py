"""The request fields that control how images look, shared by jobs, styles and campaigns."""

import re
from collections.abc import Collection
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.web.validation import PLAIN_PATTERN, STYLE_REFERENCE, Body, Whole
from common.jobs import prompt_text
from common.jobs.request import LARGEST_SCALE, MOST_ADAPTERS, OutputFormat, SchedulerName
from common.jobs.styles import MOST_COLOURS, REFERENCE

LARGEST_SIDE = 65_535
MOST_STEPS = 1000
LARGEST_GUIDANCE = 50

SAFETY_SWITCHES = frozenset({"safety", "safety_checker", "enable_safety_checker", "safety_policy", "moderation"})
"""Names by which other services let a request switch the safety check off."""

UNKNOWN_STYLE = "unknown style; see GET /v1/styles"
MODEL_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_MODEL_NAME = re.compile(MODEL_NAME[1:-1])


def refuse_safety_switches(body: Any, allowed: Collection[str] = ()) -> Any:
    """Return *body* unchanged; raise if it has a safety switch that is not one of *allowed*."""
    if isinstance(body, dict) and SAFETY_SWITCHES.difference(allowed) & body.keys():
        raise refuse_disabled_safety()
    return body


def refuse_disabled_safety() -> PydanticCustomError:
    """Return the error for a request that is to disable the safety check."""
    return PydanticCustomError("safety_not_configurable", "The safety check cannot be disabled.")


def _refuse_unknown(name: str) -> str:
    if not _MODEL_NAME.fullmatch(name):
        raise PydanticCustomError("unknown_model", "unknown model; see GET /v1/models")
    return name


def _refuse_unknown_adapter(name: str) -> str:
    if not _MODEL_NAME.fullmatch(name):
        raise PydanticCustomError("unknown_adapter", "unknown adapter; see GET /v1/models")
    return name


def _refuse_unknown_style(reference: str) -> str:
    if not REFERENCE.fullmatch(reference):
        raise PydanticCustomError("unknown_style", UNKNOWN_STYLE)
    return reference


def _parse_colour(text: str) -> str:
    if not _COLOUR.fullmatch(text):
        raise PydanticCustomError("type", "must be a colour such as #ff8800")
    return text.lower()


def _json_schema(**keywords: Any) -> Any:
    return Field(json_schema_extra=keywords)


COLOUR = "^#[0-9A-Fa-f]{6}$"
_COLOUR = re.compile(COLOUR[1:-1])
Text = Annotated[str, Field(max_length=prompt_text.LONGEST_PROMPT)]
Plain = Annotated[Text, AfterValidator(prompt_text.clean_text), _json_schema(pattern=PLAIN_PATTERN)]
Side = Annotated[int, Field(ge=1, le=LARGEST_SIDE), Whole]
"""Which sides a model takes, its card says."""
StyleReference = Annotated[
    str,
    AfterValidator(_refuse_unknown_style),
    _json_schema(pattern=STYLE_REFERENCE, format="style-reference", examples=["birthday", "birthday@3"]),
]
NewColour = Annotated[str, AfterValidator(_parse_colour), _json_schema(pattern=COLOUR, examples=["#ff8800"])]


class NewAdapter(Body):
    """An adapter to apply to the model, and its scale."""

    name: Annotated[
        str, AfterValidator(_refuse_unknown_adapter), _json_schema(pattern=MODEL_NAME, format="model-name")
    ] = Field(description="One of the model's `adapters`.")
    scale: Annotated[float, Field(ge=-LARGEST_SCALE, le=LARGEST_SCALE, allow_inf_nan=False)] | None = Field(
        None, description="Strength of the adapter. Defaults to the adapter's own scale.", examples=[0.8]
    )


class GenerationFields(Body):
    """Image settings; omitted fields use the style's value, or else the model's default."""

    negative_prompt: Plain | None = Field(None, description="What the images should not show.")
    model: (
        Annotated[str, AfterValidator(_refuse_unknown), _json_schema(pattern=MODEL_NAME, format="model-name")] | None
    ) = Field(None, description="Name of a model from `GET /v1/models`. Defaults to the service's default model.")
    width: Side | None = Field(
        None,
        description="In pixels; see the model's `size_multiple`, `min_size` and `max_size`. Defaults to the model's.",
        examples=[512],
    )
    height: Side | None = Field(None, description="In pixels. Defaults to the model's.", examples=[512])
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS), Whole] | None = Field(
        None, description="Number of denoising steps. Defaults to the model's.", examples=[30]
    )
    guidance_scale: Annotated[float, Field(ge=0, le=LARGEST_GUIDANCE, allow_inf_nan=False)] | None = Field(
        None, description="Classifier-free guidance scale; values of 1 or less disable it.", examples=[7.5]
    )
    scheduler: Annotated[SchedulerName, Field(strict=False)] | None = Field(
        None, description="One of the model's schedulers. Defaults to the model's own."
    )
    adapters: Annotated[list[NewAdapter], Field(max_length=MOST_ADAPTERS)] | None = Field(
        None, description="LoRAs to apply to the model's weights, each at most once. Defaults to none."
    )
    output_format: Annotated[OutputFormat, Field(strict=False)] | None = Field(
        None, description="File format of the images. Defaults to `png`."
    )
    palette: Annotated[list[NewColour], Field(max_length=MOST_COLOURS)] | None = Field(
        None, description="Target colours; each image gets a `palette_score` from 0 to 1. Defaults to none."
    )
