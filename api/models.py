"""``/v1/models``: what may be asked for."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import orders
from api.auth.bearer import needs
from api.runtime.context import services
from api.schemas.models import Adapter, Defaults, Limits, Model, ModelList
from api.web import responses
from common.db.clock import now
from common.keys import Scope
from common.models import catalog
from common.models.catalog import ModelCard
from common.settings import Settings
from common.tables import Press

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
        is_default=card.name == orders.default_name(cards, settings),
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
        adapters=[Adapter(**adapter.model_dump()) for adapter in card.adapters],
    )
