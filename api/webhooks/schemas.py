"""The JSON of webhooks: where messages go, and what of."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.web import text_fields
from api.web.output import Output, Time
from api.web.validation import Body, Id, Moment, Parsed, Path, Query, Whole
from common.jobs import prompt_text
from common.tables.webhook_states import DisabledReason, EndpointStatus, EventType, Failure, MessageState
from common.webhooks import signing_secrets
from common.webhooks.signing_secrets import InvalidSecretError
from common.webhooks.urls import LONGEST_URL

LONGEST_DESCRIPTION = 512
LONGEST_SECRET = 128
LONGEST_OVERLAP = 7 * 24 * 3600
USUAL_OVERLAP = 24 * 3600

JobEvent = Literal["job.started", "job.succeeded", "job.failed", "job.canceled", "job.expired", "image.released"]
CampaignEvent = Literal["campaign.progress", "campaign.completed", "campaign.held", "campaign.failed"]
BY_DEFAULT = "by default those that end a job, and `image.released`"


def _check_secret(secret: str) -> str:
    try:
        signing_secrets.parse(secret)
    except InvalidSecretError as error:
        raise PydanticCustomError("invalid_secret", "must be whsec_ and base64 of 24 to 64 bytes") from error
    return secret


def _schema(**keywords: Any) -> Any:
    return Field(json_schema_extra=keywords)


Url = Annotated[
    str, Field(max_length=LONGEST_URL), _schema(format="webhook-url", examples=["https://example.com/hook"])
]
Events = Annotated[list[JobEvent], Field(min_length=1, max_length=16)]
EndpointEvents = Annotated[list[JobEvent | CampaignEvent], Field(min_length=1, max_length=16)]
CampaignEvents = Annotated[list[CampaignEvent], Field(min_length=1, max_length=16)]
Description = Annotated[
    str,
    Field(max_length=LONGEST_DESCRIPTION),
    AfterValidator(prompt_text.clean),
    _schema(pattern=text_fields.PLAIN_PATTERN),
]
Secret = Annotated[
    str, Field(max_length=LONGEST_SECRET), AfterValidator(_check_secret), _schema(format="webhook-secret")
]


class NewWebhook(Body):
    """A webhook to be made."""

    url: Url | None = Field(
        None,
        description="Where messages go, `https://`. Left out: the one webhook that signs for all jobs and campaigns"
        " that name a `webhook_url` of their own, which otherwise is made with the first of them.",
    )
    events: EndpointEvents | None = Field(
        None, description=f"What is told; {BY_DEFAULT}, and `campaign.completed`, `campaign.held`, `campaign.failed`."
    )
    description: Description | None = Field(None, description="For people.")
    secret: Secret | None = Field(
        None, description="`whsec_` and base64 of 24 to 64 bytes; by default a random one, which is better."
    )


class WebhookChanges(Body):
    """What is to change about a webhook; the rest stays."""

    url: Url | None = Field(None, description="Where messages go from now on, those that wait included.")
    events: EndpointEvents | None = Field(None, description="What is told from now on.")
    description: Description | None = Field(None, description="For people.")


class Rotation(Body):
    """How a secret is to be exchanged; `{}` for the defaults."""

    secret: Secret | None = Field(None, description="By default a random one.")
    overlap_s: Annotated[int, Field(ge=0, le=LONGEST_OVERLAP), Whole] | None = Field(
        None, description="Seconds for which the old secret signs too; by default a day."
    )


class WebhookPath(Path):
    """Names a webhook."""

    webhook_id: Id


class Webhook(Output):
    """A webhook: where messages go, what of, and how it fares."""

    id: UUID
    object: Literal["webhook"] = "webhook"
    url: str | None = Field(description="Null: it signs for the jobs and campaigns that name a URL of their own.")
    events: list[EventType]
    description: str
    status: EndpointStatus
    disabled_reason: DisabledReason | None = Field(
        description="`owner`; `gone`: it answered 410; `failing`: nothing but failures for a day."
    )
    secret: str | None = Field(description="Shown once, when it is made or rotated; null else.")
    previous_secret_until: Time | None = Field(description="Until then messages are signed by the secret before too.")
    failures: int = Field(description="Tries that failed in a row.")
    failing_since: Time | None
    resume_at: Time | None = Field(description="It is left alone until then, because it fails.")
    created_at: Time


class WebhookList(Output):
    """All webhooks, the newest first."""

    object: Literal["list"] = "list"
    data: list[Webhook]


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
