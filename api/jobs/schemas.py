"""The JSON of jobs: what may be asked for, and how a job is shown."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from api.images.schemas import Cost, Image, JobSafety, NewSafety
from api.jobs.generation_fields import Look, StyleReference, Text
from api.web import text_fields
from api.web.output import Output, Time
from api.web.validation import Header, Id, Parsed, Path, Query, Whole
from api.webhooks.schemas import BY_DEFAULT, Events, Url
from common.ids import parse_id
from common.jobs import prompt_text
from common.jobs.request import LARGEST_SEED, OutputFormat, SchedulerName
from common.tables.states import JobStatus, Priority
from common.tables.webhook_states import EventType

MOST_IMAGES = 100
LONGEST_DEADLINE = 7 * 24 * 3600

UNKNOWN_ASSET = "is no asset of yours, or has expired"

MOST_METADATA = 32
METADATA_KEY = r"^[A-Za-z0-9_-]{1,64}$"
LONGEST_METADATA = 512

IDEMPOTENCY_KEY = r'^([A-Za-z0-9_-]{1,255}|"[A-Za-z0-9_-]{1,255}")$'


def _refuse_blank(text: str) -> str:
    if prompt_text.is_blank(text):
        raise PydanticCustomError("prompt_required", "must not be blank")
    return text


def _read_asset_id(value: Any) -> UUID:
    if not isinstance(value, str):
        raise PydanticCustomError("type", "must be the id of an asset")
    found = parse_id(value)
    if found is None or str(found) != value:
        raise PydanticCustomError("unknown_asset", UNKNOWN_ASSET)
    return found


def _schema(**keywords: Any) -> Any:
    return Field(json_schema_extra=keywords)


AssetId = Annotated[UUID, BeforeValidator(_read_asset_id)]
MetadataKey = Annotated[str, StringConstraints(pattern=METADATA_KEY)]
MetadataValue = Annotated[str, Field(max_length=LONGEST_METADATA)]
# pydantic would describe the keys by patternProperties, which allow all others.
METADATA_SCHEMA: dict[str, Any] = {
    "type": "object",
    "maxProperties": MOST_METADATA,
    "propertyNames": {"pattern": METADATA_KEY},
    "additionalProperties": {"type": "string", "maxLength": LONGEST_METADATA, "pattern": text_fields.PLAIN_PATTERN},
}


class NewJob(Look):
    """A job to be made: a prompt, and whatever shall differ from a style's or the model's defaults."""

    prompt: Annotated[
        Text,
        AfterValidator(_refuse_blank),
        AfterValidator(prompt_text.clean),
        _schema(pattern=text_fields.PROMPT_PATTERN, minLength=1, examples=["a lighthouse at dusk, oil on canvas"]),
    ] = Field(description="What the images shall show; in any language that the model reads.")
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = Field(
        None,
        description="Seed of the first image; each further image has the next. By default a random one. "
        "Written without a fraction: a seed that went through a float may have been rounded.",
    )
    num_images: Annotated[int, Field(ge=1, le=MOST_IMAGES), Whole] | None = Field(
        None, description="How many images; by default 1."
    )
    style: StyleReference | None = Field(
        None,
        description="One of your styles, `name` for its newest version or `name@3`: its words stand around the prompt,"
        " and it decides what this job leaves open.",
    )
    init_image: AssetId | None = Field(None, description="The asset to start from instead of noise alone.")
    mask_image: AssetId | None = Field(
        None, description="The asset whose white parts tell what of the init image to make anew."
    )
    strength: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        None,
        description="How much of the init image is given up: of so many steps the last `steps × strength` are taken. "
        "By default 0.8, and 1 with a mask.",
    )
    priority: Annotated[Priority, Field(strict=False)] | None = Field(
        None, description="Interactive jobs overtake bulk jobs; by default interactive."
    )
    deadline_s: Annotated[int, Field(ge=1, le=LONGEST_DEADLINE), Whole] | None = Field(
        None, description="Seconds after which the job, if it has not ended, is given up as `expired`."
    )
    metadata: (
        Annotated[dict[MetadataKey, MetadataValue], Field(max_length=MOST_METADATA), WithJsonSchema(METADATA_SCHEMA)]
        | None
    ) = Field(None, description="Up to 32 short texts that are kept with the job and shown with it.")
    safety: NewSafety | None = Field(
        None, description="How much more strictly than usual its pictures are judged; by default as the key says."
    )
    webhook_url: Url | None = Field(
        None, description="Where to be told of this job; messages are signed by the owner's webhook without URL."
    )
    webhook_events: Events | None = Field(None, description=f"What is told there; {BY_DEFAULT}.")

    @field_validator("metadata", mode="before")
    @classmethod
    def _refuse_nesting(cls, value: Any) -> Any:
        if isinstance(value, dict) and any(not isinstance(item, str) for item in value.values()):
            raise PydanticCustomError("metadata_limit", "must hold texts only")
        return value

    @classmethod
    def code_of(cls, found: ErrorDetails) -> str:
        """Return the field's own code where it has one."""
        code = super().code_of(found)
        if found["loc"][0] == "metadata" and found["type"] not in ("dict_type", "type"):
            return "metadata_limit"
        return "prompt_required" if found["loc"] == ("prompt",) and code == "required" else code


class NewJobHeaders(Header):
    """The headers of a request that makes a job."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        description="The same request, sent again with the same key, makes no second job.",
        json_schema_extra={"pattern": IDEMPOTENCY_KEY},
    )
    prefer: str | None = Field(
        None, alias="Prefer", description="`wait=N`: answer when the job has ended, or after N seconds, 60 at most."
    )


class JobPath(Path):
    """Names a job."""

    job_id: Id


class JobQuery(Query):
    """Which jobs to list."""

    status: JobStatus | None = Field(None, description="Only jobs with this status.")
    model: str | None = Field(None, description="Only jobs of this model.", max_length=64)
    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Jobs a page.")
    cursor: str | None = Field(None, description="`next` of the page before.", json_schema_extra={"format": "cursor"})


class Adapter(Output):
    """An adapter, and how strongly it was laid on."""

    name: str
    scale: float


class Request(Output):
    """What was asked for, every default filled in: the same request makes the same images again."""

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
    strength: float | None = Field(description="Null without init image.")
    safety: JobSafety | None = Field(description="Null: as the operator's policy stands when it is printed.")


class Progress(Output):
    """How far the job's current attempt has got."""

    step: int
    steps: int


class JobError(Output):
    """Why a job ended without images."""

    code: str
    message: str
    retryable: bool


class Job(Output):
    """An order, and what became of it."""

    id: UUID
    object: Literal["job"] = "job"
    status: JobStatus
    priority: Priority
    request: Request
    progress: Progress
    queue_position: int | None = Field(
        description="How many jobs are before this one, counted up to 1000; null unless it is queued."
    )
    attempt: int = Field(description="How often a press has begun with it.")
    version: int = Field(description="Grows with every change of `status`, as in messages to webhooks.")
    images: list[Image]
    cost: Cost
    error: JobError | None
    metadata: dict[str, str]
    retry_of: UUID | None
    style: str | None = Field(description="The version of a style that it was made with, as `name@3`.")
    palette: list[str] = Field(description="The colours that it is to keep to; empty if it may have any.")
    webhook_url: str | None
    webhook_events: list[EventType] | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    deadline_at: Time | None
    prompt_erased_at: Time | None = Field(description="When its prompts and metadata were erased, if they were.")


class JobList(Output):
    """A page of jobs, the newest first."""

    object: Literal["list"] = "list"
    data: list[Job]
    has_more: bool
    next: str | None = Field(description="The `cursor` of the next page.")
