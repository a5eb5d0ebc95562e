"""JSON schemas of campaigns: requests and responses."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from api.campaigns.money import Money
from api.campaigns.run_schemas import CampaignProgress, CampaignQuote
from api.jobs.generation_fields import GenerationFields, StyleReference, refuse_safety_switches
from api.jobs.schemas import (
    IDEMPOTENCY_KEY,
    METADATA_SCHEMA,
    MOST_METADATA,
    AssetId,
    MetadataKey,
    MetadataValue,
    Request,
    refuse_blank,
)
from api.web.output import Amount, Output, Time
from api.web.validation import PLAIN_PATTERN, PROMPT_PATTERN, Body, Header, Id, Moment, Parsed, Path, Query, Whole
from api.webhooks.schemas import CampaignEvents, Url
from common.campaigns.spec import OnBlock, SeedRule
from common.jobs import prompt_text
from common.jobs.request import LARGEST_SEED
from common.states.campaigns import CampaignStatus, ListStatus
from common.states.jobs import Priority
from common.states.webhooks import EventType

LONGEST_NAME = 200
LONGEST_TEMPLATE = 10_000
MOST_VARIANTS = 8
LARGEST_WEIGHT = 1000
MOST_IMAGES = 10
MOST_REROLLS = 10
ARM_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def _json_schema(**keywords: Any) -> Any:
    return Field(json_schema_extra=keywords)


Name = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_NAME),
    AfterValidator(refuse_blank),
    AfterValidator(prompt_text.clean_text),
    _json_schema(pattern=PROMPT_PATTERN),
]
Source = Annotated[str, Field(max_length=LONGEST_TEMPLATE), _json_schema(pattern=PLAIN_PATTERN)]
Weight = Annotated[int, Field(ge=1, le=LARGEST_WEIGHT), Whole]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class NewTemplate(Body):
    """The prompts, as Liquid templates: `{{ column }}`, `{{ column | default: "you" }}` and `{% if column %}`."""

    prompt: Annotated[
        Source,
        AfterValidator(refuse_blank),
        _json_schema(examples=['a birthday cake for {{ name | default: "you" }}']),
    ] = Field(description="What each image should show.")
    negative_prompt: Source | None = Field(None, description="What the images should not show.")


class Defaults(GenerationFields):
    """Image settings for all images of a campaign, in addition to the style."""


class NewVariant(Body):
    """One arm of a split test; omitted fields use the campaign's values."""

    name: Annotated[str, Field(pattern=ARM_NAME)] = Field(description="Name of the arm, as shown in the results.")
    weight: Weight | None = Field(None, description="Relative share of the recipients. Defaults to 1.")
    template: NewTemplate | None = Field(None, description="Template of this arm.")
    style: StyleReference | None = Field(None, description="Style of this arm.")
    defaults: Defaults | None = Field(None, description="Overrides of the campaign's defaults.")


class NewBudget(Body):
    """The maximum cost of a campaign."""

    amount: Money = Field(description="Amount in the currency of this service.")


_UPLOAD = "create the campaign, then upload its recipients with PUT /v1/campaigns/{id}/recipients"


class _CampaignFields(Body):
    hints: ClassVar[Mapping[str, str]] = dict.fromkeys(("recipients", "contacts", "rows", "csv"), _UPLOAD)
    style: StyleReference | None = Field(None, description="Style; `name` is resolved to its newest version now.")
    defaults: Defaults | None = Field(None, description="Overrides of the style's or the model's defaults.")
    images_per_recipient: Annotated[int, Field(ge=1, le=MOST_IMAGES), Whole] | None = Field(
        None, description="Number of images per recipient. Defaults to 1."
    )
    variants: Annotated[list[NewVariant], Field(max_length=MOST_VARIANTS)] | None = Field(
        None, description="Arms of a split test; a recipient always stays in the same arm. By default there is one arm."
    )
    seed_rule: Annotated[SeedRule, Field(strict=False)] | None = Field(
        None,
        description="`content`: identical requests are printed once; `recipient`: each recipient has different seeds;"
        " `fixed`: all use the same seed. Defaults to `content`.",
    )
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = Field(None, description="Seed for `seed_rule: fixed`.")
    on_block: Annotated[OnBlock, Field(strict=False)] | None = Field(
        None, description="What happens when the safety check blocks a print. Defaults to `fail`."
    )
    fallback_image: AssetId | None = Field(
        None, description="Replaces blocked images, checked as they are; see on_block."
    )
    palette_floor: Share | None = Field(
        None, description="Palette score below which an image is re-rolled. By default no image is re-rolled."
    )
    max_rerolls: Annotated[int, Field(ge=0, le=MOST_REROLLS), Whole] | None = Field(
        None, description="Maximum number of re-rolls per print. Defaults to 3."
    )
    start_at: Annotated[Moment, _json_schema(format="date-time")] | None = Field(
        None, description="When an approved campaign starts automatically."
    )
    deadline: Annotated[Moment, _json_schema(format="date-time")] | None = Field(
        None, description="When the campaign ends as `expired`."
    )
    priority: Annotated[Priority, Field(strict=False)] | None = Field(None, description="Defaults to `bulk`.")
    allow_identical: bool | None = Field(
        None, description="Whether to allow a template without variables for several recipients. Defaults to false."
    )
    metadata: (
        Annotated[dict[MetadataKey, MetadataValue], Field(max_length=MOST_METADATA), WithJsonSchema(METADATA_SCHEMA)]
        | None
    ) = Field(None, description="Up to 32 key-value pairs stored with the campaign.")
    webhook_url: Url | None = Field(None, description="URL that receives this campaign's events.")
    webhook_events: CampaignEvents | None = Field(None, description="Events to send. Defaults to all campaign events.")

    @model_validator(mode="before")
    @classmethod
    def _refuse_safety_switches(cls, body: Any) -> Any:
        return refuse_safety_switches(body)

    @field_validator("metadata", mode="before")
    @classmethod
    def _refuse_nesting(cls, value: Any) -> Any:
        if isinstance(value, dict) and any(not isinstance(item, str) for item in value.values()):
            raise PydanticCustomError("metadata_limit", "values must be strings")
        return value

    @classmethod
    def code_of(cls, found: ErrorDetails) -> str:
        """Return the error code, refined for fields that have their own."""
        is_metadata = found["loc"][0] == "metadata" and found["type"] not in ("dict_type", "type")
        return "metadata_limit" if is_metadata else super().code_of(found)


class NewCampaign(_CampaignFields):
    """The parameters of a new campaign: one template for many recipients."""

    name: Name = Field(description="Free-form text for your own use.", examples=["Birthdays in May"])
    template: NewTemplate
    budget: NewBudget


class CampaignChanges(_CampaignFields):
    """Changes to a campaign that is not approved yet. Each field is replaced as a whole; omitted fields stay."""

    name: Name | None = Field(None, description="Free-form text for your own use.")
    template: NewTemplate | None = None
    budget: NewBudget | None = None


class NewCampaignHeaders(Header):
    """The headers of a request to create a campaign."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        description="Repeating a request with the same key does not create a second campaign.",
        json_schema_extra={"pattern": IDEMPOTENCY_KEY},
    )


class Approval(Body):
    """The specification to approve."""

    spec_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="The campaign's `spec_digest` as reviewed."
    )


class CampaignPath(Path):
    """The ID of a campaign."""

    campaign_id: Id


class CampaignQuery(Query):
    """The filters of a list of campaigns."""

    status: CampaignStatus | None = Field(None, description="Only campaigns with this status.")
    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Maximum number of campaigns per page.")
    cursor: str | None = Field(
        None, description="The `next` value of the previous page.", json_schema_extra={"format": "cursor"}
    )


class CampaignTemplate(Output):
    """The prompt templates of an arm."""

    prompt: str
    negative_prompt: str


class CampaignArm(Output):
    """One arm of a campaign, with all settings resolved."""

    name: str
    weight: int
    template: CampaignTemplate
    style: str | None = Field(description="Style version, as `name@version`.")
    palette: list[str]
    request: Request = Field(description="The request of every print, except the prompt and the seed.")


class CampaignRecipientList(Output):
    """An uploaded list of recipients."""

    number: int
    status: ListStatus
    columns: list[str]
    notes: list[str] = Field(description="The notes of the receipt, as of the last time that the rows were checked.")
    accepted: int
    rejected: int
    digest: str | None
    approved_at: Time | None
    created_at: Time


class CampaignRecipients(Output):
    """The number of recipients and the lists they come from."""

    accepted: int
    rejected: int = Field(description="Number of rejected rows; see `recipients/errors.csv`.")
    approved: int
    lists: list[CampaignRecipientList]


class CampaignBudget(Output):
    """The budget of a campaign: the total, the amount spent and the amount held for prints in progress."""

    amount: Amount
    spent: Amount
    held: Amount
    currency: str


class Campaign(Output):
    """A campaign: one template for many recipients within one budget."""

    id: UUID
    object: Literal["campaign"] = "campaign"
    name: str
    status: CampaignStatus
    held_reason: str | None = Field(description="Why the campaign is `held`; null otherwise.")
    spec_digest: str | None = Field(
        description="Digest of everything that would be printed and of the budget; send it when approving the campaign."
    )
    variables: list[str] = Field(description="Columns used by the templates.")
    arms: list[CampaignArm]
    images_per_recipient: int
    seed_rule: SeedRule
    seed: int | None
    on_block: OnBlock
    fallback_image: UUID | None
    palette_floor: float | None
    max_rerolls: int
    allow_identical: bool
    recipients: CampaignRecipients
    budget: CampaignBudget
    progress: CampaignProgress | None = Field(description="Null in lists.")
    quote: CampaignQuote | None = Field(description="Estimate for the whole campaign, based on its proofs.")
    priority: Priority
    start_at: Time | None
    deadline: Time | None
    metadata: dict[str, str]
    webhook_url: str | None
    webhook_events: list[EventType] | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class CampaignPage(Output):
    """A page of campaigns, newest first."""

    object: Literal["list"] = "list"
    data: list[Campaign]
    has_more: bool
    next: str | None = Field(description="Cursor of the next page; null on the last page.")
