"""``/v1/models``: what may be asked for."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Literal

from flask import Response
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.auth.bearer import needs
from api.jobs import resolve
from api.runtime.context import services
from api.web import responses
from api.web.output import Output
from common.db.clock import now
from common.jobs.request import Mode, SchedulerName
from common.keys import Scope
from common.models import catalog
from common.models.catalog import ModelCard
from common.settings import Settings
from common.tables import Press


class Limits(Output):
    """What a request may ask of a model."""

    min_size: int
    max_size: int
    size_multiple: int = Field(description="Width and height must be multiples of this.")
    max_steps: int
    max_images: int
    max_pixel_steps: int = Field(description="The most that width × height × steps × num_images may be.")


class Defaults(Output):
    """What a request gets that does not say."""

    width: int
    height: int
    steps: int
    guidance_scale: float


class ModelAdapter(Output):
    """A LoRA that may be laid over a model's weights."""

    name: str
    title: str
    description: str
    default_scale: float
    trigger_words: list[str] = Field(description="Words in the prompt that it was trained to heed.")
    licence: str


class Model(Output):
    """A model that jobs may name."""

    id: str
    object: Literal["model"] = "model"
    title: str
    description: str
    family: str
    is_default: bool
    available: bool = Field(description="Whether a press that has it is at work now; jobs wait for one.")
    limits: Limits
    defaults: Defaults
    schedulers: list[SchedulerName]
    negative_prompt: bool = Field(description="Whether it heeds a negative prompt.")
    modes: list[Mode] = Field(
        description="What it can start from: `text` alone, an `image` (`init_image`), or one and a mask (`inpaint`)."
    )
    adapters: list[ModelAdapter] = Field(description="What a job for this model may name in `adapters`.")


class ModelList(Output):
    """All models."""

    object: Literal["list"] = "list"
    data: list[Model]


blueprint = responses.create_blueprint("models", "What may be asked for.", "/v1/models")


@blueprint.get("", **responses.describe(Scope.JOBS_READ, {200: ModelList}))
@needs(Scope.JOBS_READ)
def list_models() -> Response:
    """List the models with their limits and defaults."""
    context = services()
    with context.database.reading() as session:
        cards = catalog.cards(session)
        served = find_served(session, timedelta(seconds=context.settings.lease_seconds))
    shown = [_show(card, cards, served, context.settings) for card in cards]
    return responses.answer(ModelList(data=shown))


def find_served(session: Session, silence: timedelta) -> set[str]:
    """Return the models of all presses that were heard of within *silence*."""
    alive = select(Press.models).where(Press.stopped_at.is_(None), Press.heartbeat_at > now(session, -silence))
    return {name for names in session.scalars(alive) for name in names}


def _show(card: ModelCard, cards: Sequence[ModelCard], served: Collection[str], settings: Settings) -> Model:
    return Model(
        id=card.name,
        title=card.title,
        description=card.description,
        family=card.family,
        is_default=card.name == resolve.default_name(cards, settings),
        available=card.name in served,
        limits=Limits(
            min_size=card.min_size,
            max_size=card.max_size,
            size_multiple=card.size_multiple,
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
        modes=card.modes,
        adapters=[ModelAdapter(**adapter.model_dump()) for adapter in card.adapters],
    )
