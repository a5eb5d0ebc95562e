"""``/v1/jobs/{id}/events``: follow a job as it happens, by server-sent events."""

from flask import Response, request

from api.auth.bearer import caller, needs
from api.jobs import event_stream, queries
from api.jobs.event_stream import FollowHeaders
from api.jobs.schemas import JobPath
from api.runtime.context import services
from api.runtime.event_ids import find_place
from api.web import responses, sse
from common.keys import Scope

blueprint = responses.create_blueprint("events", "What happens to a job, told as it happens.", "/v1/jobs")

SEND_SECONDS = 30
"""How long a client may take nothing of what it is sent before its line is cut."""

FOLLOWS: responses.Success = {
    200: {
        "description": (
            "Events until the job has ended: `status` (`JobTurn`), `progress` (`JobProgress`), once it has ended an "
            "`image` (`Image`) for each of its images, and at last `job` (`Job`), after which the stream ends. A "
            "stream that ends without `job` is to be taken up again, by `Last-Event-ID`."
        ),
        "content": {sse.CONTENT_TYPE: {"schema": {"type": "string"}}},
    },
    204: {"description": "The job has ended, and its last event has arrived: there is nothing to come back for"},
}


@blueprint.get("/<job_id>/events", **responses.describe(Scope.JOBS_READ, FOLLOWS, 404))
@needs(Scope.JOBS_READ)
def follow_job(path: JobPath, header: FollowHeaders) -> Response:
    """Follow a job until it has ended."""
    context, owner = services(), caller().owner
    with context.database.reading() as session:
        row = queries.find_job(session, owner, path.job_id)
        look = event_stream.see(row)
        after = find_place(header.last_event_id, look)
        if look.status.is_terminal:
            if after == look.last:
                return Response(status=204)
            told = b"".join(event.encode() for event in event_stream.tell_end(session, row, context, after))
            return _answer(told)
    _bound_sending()
    return _answer(event_stream.Stream(context, owner, path.job_id, look, after))


def _answer(body: bytes | event_stream.Stream) -> Response:
    return Response(body, content_type=sse.CONTENT_TYPE, headers=sse.HEADERS)


def _bound_sending() -> None:
    """Have gunicorn give up on a client that keeps its line open and reads nothing."""
    line = request.environ.get("gunicorn.socket")
    if line is not None:
        line.settimeout(SEND_SECONDS)
