"""JSON schemas of webhooks and their deliveries."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.web.output import Output, Time
from api.web.validation import PLAIN_PATTERN, Body, Id, Moment, Parsed, Path, Query, Whole
from common.jobs import prompt_text
from common.states.webhooks import DisabledReason, EndpointStatus, EventType, Failure, MessageState
from common.webhooks import signing_secrets
from common.webhooks.signing_secrets import InvalidSecretError
from common.webhooks.urls import LONGEST_URL

LONGEST_DESCRIPTION = 512
LONGEST_SECRET = 128
LONGEST_OVERLAP = 7 * 24 * 3600
USUAL_OVERLAP = 24 * 3600

JobEvent = Literal["job.started", "job.succeeded", "job.failed", "job.canceled", "job.expired", "image.released"]
CampaignEvent = Literal["campaign.progress", "campaign.completed", "campaign.held", "campaign.failed"]
BY_DEFAULT = "defaults to the events that end a job and `image.released`"


def _check_secret(secret: str) -> str:
    try:
        signing_secrets.parse_secret(secret)
    except InvalidSecretError as error:
        raise PydanticCustomError("invalid_secret", "must be whsec_ followed by 24 to 64 bytes in base64") from error
    return secret


def _json_schema(**keywords: Any) -> Any:
    return Field(json_schema_extra=keywords)


Url = Annotated[
    str, Field(max_length=LONGEST_URL), _json_schema(format="webhook-url", examples=["https://example.com/hook"])
]
Events = Annotated[list[JobEvent], Field(min_length=1, max_length=16)]
EndpointEvents = Annotated[list[JobEvent | CampaignEvent], Field(min_length=1, max_length=16)]
CampaignEvents = Annotated[list[CampaignEvent], Field(min_length=1, max_length=16)]
Description = Annotated[
    str,
    Field(max_length=LONGEST_DESCRIPTION),
    AfterValidator(prompt_text.clean_text),
    _json_schema(pattern=PLAIN_PATTERN),
]
Secret = Annotated[
    str, Field(max_length=LONGEST_SECRET), AfterValidator(_check_secret), _json_schema(format="webhook-secret")
]


class NewWebhook(Body):
    """The parameters of a new webhook."""

    url: Url | None = Field(
        None,
        description="Destination URL, `https://`. If omitted, creates the webhook that signs messages for jobs and"
        " campaigns with their own `webhook_url`; otherwise it is created with the first of them.",
    )
    events: EndpointEvents | None = Field(
        None, description=f"Events to send; {BY_DEFAULT}, `campaign.completed`, `campaign.held` and `campaign.failed`."
    )
    description: Description | None = Field(None, description="Free-form text for your own use.")
    secret: Secret | None = Field(
        None,
        description="Signing secret: `whsec_` followed by 24 to 64 bytes in base64. Random by default (recommended).",
    )


class WebhookChanges(Body):
    """Changes to a webhook; omitted fields stay."""

    url: Url | None = Field(None, description="New destination URL, also for pending messages.")
    events: EndpointEvents | None = Field(None, description="Events to send from now on.")
    description: Description | None = Field(None, description="Free-form text for your own use.")


class Rotation(Body):
    """The options of a secret rotation; `{}` for the defaults."""

    secret: Secret | None = Field(None, description="New secret. Defaults to a random secret.")
    overlap_s: Annotated[int, Field(ge=0, le=LONGEST_OVERLAP), Whole] | None = Field(
        None, description="Seconds during which messages are also signed with the old secret. Defaults to one day."
    )


class WebhookPath(Path):
    """The ID of a webhook."""

    webhook_id: Id


class Webhook(Output):
    """A webhook: its destination, events and status."""

    id: UUID
    object: Literal["webhook"] = "webhook"
    url: str | None = Field(
        description="Destination URL; null for the webhook that signs messages to the `webhook_url` of jobs."
    )
    events: list[EventType]
    description: str
    status: EndpointStatus
    disabled_reason: DisabledReason | None = Field(
        description="`owner`: disabled by the owner; `gone`: the receiver responded with 410; `failing`: all attempts"
        " failed for a day."
    )
    secret: str | None = Field(
        description="The signing secret, returned only on creation and rotation; null otherwise."
    )
    previous_secret_until: Time | None = Field(
        description="Until when messages are also signed with the previous secret."
    )
    failures: int = Field(description="Number of consecutive failed attempts.")
    failing_since: Time | None
    resume_at: Time | None = Field(description="When deliveries resume after repeated failures.")
    created_at: Time


class WebhookList(Output):
    """All webhooks, newest first."""

    object: Literal["list"] = "list"
    data: list[Webhook]


class DeliveryAttempt(Output):
    """One attempt of a delivery."""

    number: int
    started_at: Time
    seconds: float | None = Field(description="Duration of the attempt; null if it has not ended.")
    status: int | None = Field(description="HTTP status of the response, if there was one.")
    error: Failure | None = Field(description="Reason for the failure; null if the attempt succeeded or has not ended.")
    response: str | None = Field(
        description="Beginning of the response text, with anything that looks like a key removed."
    )


class AttemptList(Output):
    """The attempts of a delivery, newest first, up to 100."""

    object: Literal["list"] = "list"
    data: list[DeliveryAttempt]


class Delivery(Output):
    """The delivery of one event to one webhook."""

    id: UUID = Field(description="ID of the delivery, sent as `webhook-id`.")
    object: Literal["delivery"] = "delivery"
    webhook_id: UUID
    job_id: UUID | None
    event: EventType
    state: MessageState
    url: str | None = Field(description="Destination URL, if set by the job or campaign.")
    attempts: int = Field(description="Number of attempts.")
    next_attempt_at: Time | None = Field(description="Time of the next attempt; null unless the delivery is pending.")
    last_attempt: DeliveryAttempt | None
    body: dict[str, Any] | None = Field(description="Message body, the same for every attempt; null in lists.")
    created_at: Time
    ended_at: Time | None


class DeliveryList(Output):
    """A page of deliveries, newest first."""

    object: Literal["list"] = "list"
    data: list[Delivery]
    has_more: bool
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


class DeliveryPath(WebhookPath):
    """The IDs of a webhook and of one of its deliveries."""

    delivery_id: Id


class DeliveryQuery(Query):
    """The filters of a list of deliveries."""

    state: MessageState | None = Field(None, description="Only deliveries in this state.")
    job_id: Id | None = Field(None, description="Only deliveries about this job.")
    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Maximum number of deliveries per page.")
    cursor: str | None = Field(
        None, description="The `next` value of the previous page.", json_schema_extra={"format": "cursor"}
    )


class Resending(Body):
    """The deliveries to resend."""

    since: Moment = Field(alias="from", description="Only deliveries created at or after this time.")
    until: Moment | None = Field(None, alias="to", description="Only deliveries created before this time.")
    delivered: bool | None = Field(None, description="Whether to also resend messages that were delivered.")


class Resent(Output):
    """The number of deliveries to be resent."""

    object: Literal["resent"] = "resent"
    count: int
