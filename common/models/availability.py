"""Whether a model can be used now, and if not, why."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.db.clock import now_sql
from common.models import catalog
from common.models.catalog import ModelCard
from common.tables import Press

NO_PRESS = "No press with this model is running."


def list_served_models(session: Session, silence: timedelta) -> set[str]:
    """Return the models of all presses with a heartbeat within *silence*."""
    alive = select(Press.models).where(Press.stopped_at.is_(None), Press.heartbeat_at > now_sql(session, -silence))
    return {name for names in session.scalars(alive) for name in names}


def find_unavailable_reason(card: ModelCard, served: Collection[str]) -> str | None:
    """Return why no press can use the model now, a plain sentence, or None if one can."""
    return None if card.name in served else card.fault or NO_PRESS


def load_current_cards(session: Session, silence: timedelta) -> Sequence[ModelCard]:
    """Return all cards in order, each with a fault only if no running press can use its model."""
    cards = catalog.load_cards(session)
    if all(card.fault is None for card in cards):
        return cards
    served = list_served_models(session, silence)
    return [card.model_copy(update={"fault": None}) if card.name in served else card for card in cards]
