"""The JSON of deliveries: messages to webhooks, and the tries at each."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from api.schemas.webhooks import WebhookPath
from api.web.output import Output, Time
from api.web.validation import Body, Id, Moment, Parsed, Query
from common.tables.webhook_states import EventType, Failure, MessageState


class DeliveryAttempt(Output):
    """One try at a delivery."""

    number: int
    started_at: Time
    seconds: float | None = Field(description="How long it took; null while it has not ended.")
    status: int | None = Field(description="The HTTP status of the answer, if there was one.")
    error: Failure | None = Field(description="Why it failed; null if it was delivered, or has not ended.")
    response: str | None = Field(description="How the text of the answer began, without what looks like a key.")


class AttemptList(Output):
    """The tries at a delivery, the newest first, 100 at most."""

    object: Literal["list"] = "list"
    data: list[DeliveryAttempt]


class Delivery(Output):
    """One event for one webhook, and whether it has arrived."""

    id: UUID = Field(description="What the receiver sees as `webhook-id`.")
    object: Literal["delivery"] = "delivery"
    webhook_id: UUID
    job_id: UUID | None
    event: EventType
    state: MessageState
    url: str | None = Field(description="Where it goes, if its job named that.")
    attempts: int = Field(description="How often it was tried.")
    next_attempt_at: Time | None = Field(description="Null unless it is pending.")
    last_attempt: DeliveryAttempt | None
    body: dict[str, Any] | None = Field(description="What is sent, the same at every try; null in lists.")
    created_at: Time
    ended_at: Time | None


class DeliveryList(Output):
    """A page of deliveries, the newest first."""

    object: Literal["list"] = "list"
    data: list[Delivery]
    has_more: bool
    next: str | None = Field(description="The `cursor` of the next page.")


class DeliveryPath(WebhookPath):
    """Names a delivery of a webhook."""

    delivery_id: Id


class DeliveryQuery(Query):
    """Which deliveries to list."""

    state: MessageState | None = Field(None, description="Only deliveries in this state.")
    job_id: Id | None = Field(None, description="Only deliveries about this job.")
    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Deliveries a page.")
    cursor: str | None = Field(None, description="`next` of the page before.", json_schema_extra={"format": "cursor"})


class Resending(Body):
    """Which deliveries to send again."""

    since: Moment = Field(alias="from", description="Only those made at this time or later.")
    until: Moment | None = Field(None, alias="to", description="Only those made before this time.")
    delivered: bool | None = Field(None, description="Whether to send those again too that were delivered.")


class Resent(Output):
    """How many deliveries are sent again."""

    object: Literal["resent"] = "resent"
    count: int
