"""Models: limits, adapters and current availability."""

from datetime import timedelta

from werkzeug.wrappers import Response

from api.console.rendering import render_page
from api.console.routing import register_page
from api.jobs import resolve
from api.runtime.context import current_context
from common.access.keys import Scope
from common.models import availability, catalog


@register_page("/models", Scope.JOBS_READ)
def list_models() -> Response:
    """List all models."""
    context = current_context()
    with context.database.reading() as session:
        cards = catalog.load_cards(session)
        served = availability.list_served_models(session, timedelta(seconds=context.settings.lease_seconds))
    return render_page(
        "models/list.html",
        cards=cards,
        reasons={card.name: availability.find_unavailable_reason(card, served) for card in cards},
        default=resolve.find_default_model(cards, context.settings),
        most=context.settings.max_pixel_steps,
    )
