"""``/healthz``: the process answers. ``/readyz``: so does what it needs."""

from flask import Response

from api.auth.bearer import needs
from api.runtime.context import services
from api.runtime.readiness import Alive, Readiness
from api.web import responses

blueprint = responses.create_blueprint("health", "Probes.", None)

READY = responses.describe(None, {200: Readiness})
READY["responses"][503] = responses.describe_success(Readiness, "The database does not answer", {})


@blueprint.get("/healthz", **responses.describe(None, {200: Alive}))
@needs(None)
def get_health() -> Response:
    """Tell that the process answers."""
    return responses.answer(Alive())


@blueprint.get("/readyz", **READY)
@needs(None)
def get_readiness() -> Response:
    """Tell whether database, broker and storage answer."""
    outcome = services().examination.outcome()
    return responses.answer(outcome, 503 if outcome.status == "unavailable" else 200)
