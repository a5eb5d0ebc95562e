"""JSON schemas of jobs: requests and responses."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from api.images.schemas import Cost, Image, JobSafety, NewSafety, PromptTokens
from api.jobs.generation_fields import (
    GenerationFields,
    StyleReference,
    Text,
    refuse_disabled_safety,
    refuse_safety_switches,
)
from api.web.output import Output, Time
from api.web.validation import PLAIN_PATTERN, PROMPT_PATTERN, Header, Id, Parsed, Path, Query, Whole
from api.webhooks.schemas import BY_DEFAULT, Events, Url
from common.db.ids import parse_id
from common.jobs import prompt_text
from common.jobs.request import LARGEST_SEED, OutputFormat, SchedulerName
from common.states.jobs import JobStatus, Priority
from common.states.webhooks import EventType

MOST_IMAGES = 100
LONGEST_DEADLINE = 7 * 24 * 3600

UNKNOWN_ASSET = "unknown or expired asset"

MOST_METADATA = 32
METADATA_KEY = r"^[A-Za-z0-9_-]{1,64}$"
LONGEST_METADATA = 512

IDEMPOTENCY_KEY = r'^([A-Za-z0-9_-]{1,255}|"[A-Za-z0-9_-]{1,255}")$'


def refuse_blank(text: str) -> str:
    """Return *text* unchanged; raise if it has no visible character."""
    if prompt_text.is_blank(text):
        raise PydanticCustomError("prompt_required", "must not be blank")
    return text


def _parse_asset_id(value: Any) -> UUID:
    if not isinstance(value, str):
        raise PydanticCustomError("type", "must be an asset ID")
    found = parse_id(value)
    if found is None or str(found) != value:
        raise PydanticCustomError("unknown_asset", UNKNOWN_ASSET)
    return found


def _json_schema(**keywords: Any) -> Any:
    return Field(json_schema_extra=keywords)


AssetId = Annotated[UUID, BeforeValidator(_parse_asset_id)]
MetadataKey = Annotated[str, StringConstraints(pattern=METADATA_KEY)]
MetadataValue = Annotated[str, Field(max_length=LONGEST_METADATA)]
# pydantic would describe the keys by patternProperties, which allow all others.
METADATA_SCHEMA: dict[str, Any] = {
    "type": "object",
    "maxProperties": MOST_METADATA,
    "propertyNames": {"pattern": METADATA_KEY},
    "additionalProperties": {"type": "string", "maxLength": LONGEST_METADATA, "pattern": PLAIN_PATTERN},
}


class NewJob(GenerationFields):
    """The parameters of a new job: a prompt, and overrides of the style's or the model's defaults."""

    prompt: Annotated[
        Text,
        AfterValidator(refuse_blank),
        AfterValidator(prompt_text.clean_text),
        _json_schema(pattern=PROMPT_PATTERN, minLength=1, examples=["a lighthouse at dusk, oil on canvas"]),
    ] = Field(description="What the images should show, in any language the model understands.")
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = Field(
        None,
        description="Seed of the first image; each further image uses the next integer. Defaults to a random seed. "
        "Must be an integer without a fraction, because a float may have been rounded.",
    )
    num_images: Annotated[int, Field(ge=1, le=MOST_IMAGES), Whole] | None = Field(
        None, description="Number of images. Defaults to 1."
    )
    style: StyleReference | None = Field(
        None,
        description="Style to use: `name` for its newest version, or `name@3`. Its prefix and suffix are added to the"
        " prompt, and it sets the fields that this job omits.",
    )
    init_image: AssetId | None = Field(None, description="Asset to start from, instead of pure noise.")
    mask_image: AssetId | None = Field(
        None,
        description="Asset whose white areas mark the parts of the init image to repaint; black and transparent areas"
        " stay as they are.",
    )
    strength: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        None,
        description="How much the init image is changed: only the last `steps × strength` steps are run. "
        "Defaults to 0.8, or 1 with a mask.",
    )
    priority: Annotated[Priority, Field(strict=False)] | None = Field(
        None, description="Interactive jobs run before bulk jobs. Defaults to `interactive`."
    )
    deadline_s: Annotated[int, Field(ge=1, le=LONGEST_DEADLINE), Whole] | None = Field(
        None, description="Seconds after which an unfinished job ends as `expired`."
    )
    metadata: (
        Annotated[dict[MetadataKey, MetadataValue], Field(max_length=MOST_METADATA), WithJsonSchema(METADATA_SCHEMA)]
        | None
    ) = Field(None, description="Up to 32 key-value pairs stored with the job.")
    safety: NewSafety | None = Field(
        None, description="A stricter safety policy for the images of this job. Defaults to the API key's policy."
    )
    webhook_url: Url | None = Field(
        None,
        description="URL that receives this job's events, signed with the secret of the owner's webhook without a URL.",
    )
    webhook_events: Events | None = Field(None, description=f"Events to send to `webhook_url`; {BY_DEFAULT}.")

    @model_validator(mode="before")
    @classmethod
    def _refuse_disabled_safety(cls, body: Any) -> Any:
        """Refuse anything but a policy, which may be stricter than the operator's."""
        if isinstance(body, dict) and "safety" in body:
            policy = body["safety"]
            if not isinstance(policy, dict) or policy.keys() - NewSafety.model_fields.keys():
                raise refuse_disabled_safety()
        return refuse_safety_switches(body, allowed=["safety"])

    @field_validator("metadata", mode="before")
    @classmethod
    def _refuse_nesting(cls, value: Any) -> Any:
        if isinstance(value, dict) and any(not isinstance(item, str) for item in value.values()):
            raise PydanticCustomError("metadata_limit", "values must be strings")
        return value

    @classmethod
    def code_of(cls, found: ErrorDetails) -> str:
        """Return the error code, refined for fields that have their own."""
        code = super().code_of(found)
        if found["loc"][0] == "metadata" and found["type"] not in ("dict_type", "type"):
            return "metadata_limit"
        return "prompt_required" if found["loc"] == ("prompt",) and code == "required" else code


class NewJobHeaders(Header):
    """The headers of a request to create a job."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        description="Repeating a request with the same key does not create a second job.",
        json_schema_extra={"pattern": IDEMPOTENCY_KEY},
    )
    prefer: str | None = Field(
        None, alias="Prefer", description="`wait=N`: respond when the job has ended, or after N seconds (at most 60)."
    )


class JobPath(Path):
    """The ID of a job."""

    job_id: Id


class JobQuery(Query):
    """The filters of a list of jobs."""

    status: JobStatus | None = Field(None, description="Only jobs with this status.")
    model: str | None = Field(None, description="Only jobs of this model.", max_length=64)
    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Maximum number of jobs per page.")
    cursor: str | None = Field(
        None, description="The `next` value of the previous page.", json_schema_extra={"format": "cursor"}
    )


class Adapter(Output):
    """An adapter and the scale it was applied with."""

    name: str
    scale: float


class Request(Output):
    """The complete request, with every default filled in; the same request produces the same images."""

    prompt: str
    negative_prompt: str
    model: str
    width: int
    height: int
    steps: int
    guidance_scale: float
    seed: int
    num_images: int
    scheduler: SchedulerName | None
    output_format: OutputFormat
    adapters: list[Adapter]
    init_image: UUID | None
    mask_image: UUID | None
    strength: float | None = Field(description="Null without an init image.")
    safety: JobSafety | None = Field(
        description="Safety policy; null if the operator's policy at the time of printing applies."
    )


class Progress(Output):
    """The progress of the job's current attempt."""

    step: int
    steps: int


class JobError(Output):
    """The error that ended a job."""

    code: str
    message: str
    retryable: bool


class Job(Output):
    """An image generation job: the request, its state and its results."""

    id: UUID
    object: Literal["job"] = "job"
    status: JobStatus
    priority: Priority
    request: Request
    progress: Progress
    queue_position: int | None = Field(
        description="Number of jobs ahead in the queue, counted up to 1000; null unless the job is queued."
    )
    attempt: int = Field(description="Number of attempts started.")
    version: int = Field(description="Increases with every change of `status`; webhook messages carry the same number.")
    prompt_tokens: PromptTokens | None = Field(
        description="How much of the prompt the model will read; null if that is not known, in lists, and once the job"
        " has ended. Each image says how much was read."
    )
    images: list[Image]
    cost: Cost
    error: JobError | None
    metadata: dict[str, str]
    retry_of: UUID | None
    style: str | None = Field(description="Style version used, as `name@3`.")
    palette: list[str] = Field(description="Target colours; empty if there are none.")
    webhook_url: str | None
    webhook_events: list[EventType] | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    deadline_at: Time | None
    prompt_erased_at: Time | None = Field(
        description="When the prompts and metadata were erased; null if they were not."
    )


class JobList(Output):
    """A page of jobs, newest first."""

    object: Literal["list"] = "list"
    data: list[Job]
    has_more: bool
    next: str | None = Field(description="Cursor of the next page; null on the last page.")
