"""Health probes: ``/healthz`` for the process, ``/readyz`` for its dependencies."""

from flask import Response

from api.auth.bearer import scope_required
from api.runtime.context import current_context
from api.runtime.readiness import Alive, Readiness
from api.web import responses

blueprint = responses.create_blueprint("health", "Health probes.", None)

READY = responses.describe_route(None, {200: Readiness})
READY["responses"][503] = responses.describe_success(Readiness, "The database is not responding", {})


@blueprint.get("/healthz", **responses.describe_route(None, {200: Alive}))
@scope_required(None)
def get_health() -> Response:
    """Check that the process is alive."""
    return responses.respond_json(Alive())


@blueprint.get("/readyz", **READY)
@scope_required(None)
def get_readiness() -> Response:
    """Check that the database, the broker and the storage respond."""
    outcome = current_context().readiness.outcome()
    return responses.respond_json(outcome, 503 if outcome.status == "unavailable" else 200)
