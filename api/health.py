"""``/healthz``: the process answers. ``/readyz``: so does what it needs."""

from flask import Response

from api import operations
from api.auth import needs
from api.context import services
from api.schemas.health import Alive, Readiness

blueprint = operations.create_blueprint("health", "Probes.", None)

READY = operations.describe(None, {200: Readiness})
READY["responses"][503] = operations.describe_success(Readiness, "The database does not answer", {})


@blueprint.get("/healthz", **operations.describe(None, {200: Alive}))
@needs(None)
def get_health() -> Response:
    """Tell that the process answers."""
    return operations.answer(Alive())


@blueprint.get("/readyz", **READY)
@needs(None)
def get_readiness() -> Response:
    """Tell whether database, broker and storage answer."""
    outcome = services().examination.outcome()
    return operations.answer(outcome, 503 if outcome.status == "unavailable" else 200)
