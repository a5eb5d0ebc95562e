"""What is told of a job while it is followed."""

from pydantic import Field

from api.web.output import Output
from api.web.validation import Header
from common.tables.states import JobStatus


class JobTurn(Output):
    """The data of an event `status`: the job has come to this status."""

    status: JobStatus
    attempt: int = Field(description="How often a press has begun with it.")


class JobProgress(Output):
    """The data of an event `progress`: how far the attempt has got."""

    step: int
    steps: int
    attempt: int


class FollowHeaders(Header):
    """The headers of a request that follows a job."""

    last_event_id: str | None = Field(
        None,
        alias="Last-Event-ID",
        description="The `id` of the last event that has arrived: what came before it is not told again. An id that "
        "this job has never had is passed over.",
    )
