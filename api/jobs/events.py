"""``/v1/jobs/{id}/events``: follow a job with server-sent events."""

from flask import Response, request

from api.auth.bearer import current_caller, scope_required
from api.jobs import event_stream, queries
from api.jobs.event_stream import FollowHeaders
from api.jobs.schemas import JobPath
from api.runtime.context import current_context
from api.runtime.event_ids import find_position
from api.server.exchange import Exchange
from api.web import responses, sse
from common.access.keys import Scope

blueprint = responses.create_blueprint("events", "Live events of a job.", "/v1/jobs")

STREAM_RESPONSES: responses.Success = {
    200: {
        "description": (
            "Events until the job ends: `status` (`JobTurn`) and `progress` (`JobProgress`), then one `image` "
            "(`Image`) per image and finally `job` (`Job`), after which the stream closes. If the stream closes "
            "without `job`, reconnect with `Last-Event-ID`."
        ),
        "content": {sse.CONTENT_TYPE: {"schema": {"type": "string"}}},
    },
    204: {"description": "The job has ended and all its events were received; do not reconnect"},
}


@blueprint.get("/<job_id>/events", **responses.describe_route(Scope.JOBS_READ, STREAM_RESPONSES, 404))
@scope_required(Scope.JOBS_READ)
def follow_job(path: JobPath, header: FollowHeaders) -> Response:
    """Follow a job until it ends."""
    context, owner = current_context(), current_caller().owner
    with context.database.reading() as session:
        row = queries.load_job(session, owner, path.job_id)
        look = event_stream.snapshot_job(row)
        after = find_position(header.last_event_id, look)
        if look.status.is_terminal:
            if after == look.last:
                return Response(status=204)
            told = b"".join(event.encode() for event in event_stream.iter_final_events(session, row, context, after))
            return _respond_stream(told)
    stream = event_stream.JobEventStream(context, owner, path.job_id, look, after)
    Exchange.of(request.environ).leave_turn()
    return _respond_stream(stream)


def _respond_stream(body: bytes | event_stream.JobEventStream) -> Response:
    return Response(body, content_type=sse.CONTENT_TYPE, headers=sse.HEADERS)
