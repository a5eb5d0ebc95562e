"""``/v1/models``: list the available models with their limits and defaults."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Literal

from flask import Response
from pydantic import Field

from api.auth.bearer import scope_required
from api.jobs import resolve
from api.runtime.context import current_context
from api.web import responses
from api.web.output import Output
from common.access.keys import Scope
from common.jobs.request import Mode, SchedulerName
from common.models import availability, catalog
from common.models.catalog import ModelCard
from common.settings import Settings


class Limits(Output):
    """The limits of a model."""

    min_size: int
    max_size: int
    size_multiple: int = Field(description="Width and height must be multiples of this.")
    fixed_size: bool = Field(description="Whether the model generates only its default `width` and `height`.")
    max_steps: int
    max_images: int
    max_pixel_steps: int = Field(description="Maximum of width × height × steps × num_images.")


class Defaults(Output):
    """The defaults for fields that a request omits."""

    width: int
    height: int
    steps: int
    guidance_scale: float


class ModelAdapter(Output):
    """A LoRA that can be applied to a model."""

    name: str
    title: str
    description: str
    default_scale: float
    trigger_words: list[str] = Field(description="Words in the prompt that activate the adapter.")
    licence: str


class Model(Output):
    """A model that jobs can use."""

    id: str
    object: Literal["model"] = "model"
    title: str
    description: str
    family: str
    is_default: bool
    available: bool = Field(description="Whether a press with this model is running now; otherwise jobs wait for one.")
    unavailable_reason: str | None = Field(
        description="Why no press can use the model now, if `available` is false. If a press tried it and failed, jobs "
        "for it are rejected with this reason."
    )
    limits: Limits
    defaults: Defaults
    schedulers: list[SchedulerName]
    negative_prompt: bool = Field(description="Whether the model supports a negative prompt.")
    guidance_scale: bool = Field(description="Whether the model supports other guidance scales than its default.")
    modes: list[Mode] = Field(
        description="Supported modes: `text`, `image` (with `init_image`) and `inpaint` (also with `mask_image`)."
    )
    adapters: list[ModelAdapter] = Field(description="Adapters that a job can use with this model.")


class ModelList(Output):
    """All models."""

    object: Literal["list"] = "list"
    data: list[Model]


blueprint = responses.create_blueprint("models", "Available models.", "/v1/models")


@blueprint.get("", **responses.describe_route(Scope.JOBS_READ, {200: ModelList}))
@scope_required(Scope.JOBS_READ)
def list_models() -> Response:
    """List the models with their limits and defaults."""
    context = current_context()
    with context.database.reading() as session:
        cards = catalog.load_cards(session)
        served = availability.list_served_models(session, timedelta(seconds=context.settings.lease_seconds))
    shown = [_serialize_model(card, cards, served, context.settings) for card in cards]
    return responses.respond_json(ModelList(data=shown))


def _serialize_model(card: ModelCard, cards: Sequence[ModelCard], served: Collection[str], settings: Settings) -> Model:
    return Model(
        id=card.name,
        title=card.title,
        description=card.description,
        family=card.family,
        is_default=card.name == resolve.find_default_model(cards, settings),
        available=card.name in served,
        unavailable_reason=availability.find_unavailable_reason(card, served),
        limits=Limits(
            min_size=card.min_size,
            max_size=card.max_size,
            size_multiple=card.size_multiple,
            fixed_size=bool(card.fixed_size),
            max_steps=card.max_steps,
            max_images=card.max_images,
            max_pixel_steps=settings.max_pixel_steps,
        ),
        defaults=Defaults(
            width=card.default_width,
            height=card.default_height,
            steps=card.default_steps,
            guidance_scale=card.default_guidance_scale,
        ),
        schedulers=card.schedulers,
        negative_prompt=card.negative_prompt,
        guidance_scale=card.guidance_scale is not False,
        modes=card.modes,
        adapters=[ModelAdapter(**adapter.model_dump()) for adapter in card.adapters],
    )
