"""Models: what may be asked for, with limits and adapters, and which presses have it now."""

from datetime import timedelta

from werkzeug.wrappers import Response

from api.console.rendering import render
from api.console.routing import page
from api.jobs import resolve
from api.runtime.context import services
from api.system.models import find_served
from common.keys import Scope
from common.models import catalog


@page("/models", Scope.JOBS_READ)
def list_models() -> Response:
    """List all models."""
    context = services()
    with context.database.reading() as session:
        cards = catalog.cards(session)
        served = find_served(session, timedelta(seconds=context.settings.lease_seconds))
    return render(
        "models/list.html",
        cards=cards,
        served=served,
        default=resolve.default_name(cards, context.settings),
        most=context.settings.max_pixel_steps,
    )
