"""The JSON of campaigns: what may be asked for, and how a campaign is shown."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from api.campaigns.run_schemas import CampaignProgress, CampaignQuote
from api.jobs.generation_fields import Look, StyleReference
from api.jobs.schemas import (
    IDEMPOTENCY_KEY,
    METADATA_SCHEMA,
    MOST_METADATA,
    AssetId,
    MetadataKey,
    MetadataValue,
    Request,
)
from api.web import text_fields
from api.web.output import Amount, Output, Time
from api.web.validation import Body, Header, Id, Moment, Parsed, Path, Query, Whole
from api.webhooks.schemas import CampaignEvents, Url
from common.campaigns.spec import OnBlock, SeedRule
from common.jobs import prompt_text
from common.jobs.request import LARGEST_SEED
from common.tables.campaign_states import CampaignStatus, ListStatus
from common.tables.states import Priority
from common.tables.webhook_states import EventType

LONGEST_NAME = 200
LONGEST_TEMPLATE = 10_000
MOST_VARIANTS = 8
LARGEST_WEIGHT = 1000
MOST_IMAGES = 10
MOST_REROLLS = 10
MONEY = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"
ARM_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def _schema(**keywords: Any) -> Any:
    return Field(json_schema_extra=keywords)


def _refuse_blank(text: str) -> str:
    if prompt_text.is_blank(text):
        raise PydanticCustomError("prompt_required", "must not be blank")
    return text


def _refuse_nothing(amount: str) -> str:
    if not amount.strip("0."):
        raise PydanticCustomError("out_of_range", "must be more than nothing")
    return amount


Name = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_NAME),
    AfterValidator(_refuse_blank),
    AfterValidator(prompt_text.clean),
    _schema(pattern=text_fields.PROMPT_PATTERN),
]
Source = Annotated[str, Field(max_length=LONGEST_TEMPLATE), _schema(pattern=text_fields.PLAIN_PATTERN)]
Weight = Annotated[int, Field(ge=1, le=LARGEST_WEIGHT), Whole]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Money = Annotated[str, Field(pattern=MONEY), AfterValidator(_refuse_nothing), _schema(examples=["20.00"])]


class NewTemplate(Body):
    """The words, in Liquid: `{{ column }}`, `{{ column | default: "you" }}` and `{% if column %}`."""

    prompt: Annotated[
        Source, AfterValidator(_refuse_blank), _schema(examples=['a birthday cake for {{ name | default: "you" }}'])
    ] = Field(description="What each picture shall show.")
    negative_prompt: Source | None = Field(None, description="What it shall not show.")


class Defaults(Look):
    """What decides how all pictures look, beside the style."""


class NewVariant(Body):
    """One arm of a split: what it leaves out is the campaign's."""

    name: Annotated[str, Field(pattern=ARM_NAME)] = Field(description="As results name it.")
    weight: Weight | None = Field(None, description="Its share of the recipients, against the others'; by default 1.")
    template: NewTemplate | None = Field(None, description="Words of its own.")
    style: StyleReference | None = Field(None, description="A style of its own.")
    defaults: Defaults | None = Field(None, description="What it has of its own; the rest is the campaign's.")


class NewBudget(Body):
    """The most that a campaign may cost."""

    amount: Money = Field(description="In the currency of this service.")


class _CampaignFields(Body):
    style: StyleReference | None = Field(
        None, description="One of your styles; `name` is taken for the version that is the newest now."
    )
    defaults: Defaults | None = Field(None, description="What differs from the style's or the model's defaults.")
    images_per_recipient: Annotated[int, Field(ge=1, le=MOST_IMAGES), Whole] | None = Field(
        None, description="By default 1."
    )
    variants: Annotated[list[NewVariant], Field(max_length=MOST_VARIANTS)] | None = Field(
        None, description="Arms of a split; a recipient is always in the same one. By default there is one arm."
    )
    seed_rule: Annotated[SeedRule, Field(strict=False)] | None = Field(
        None,
        description="`content`: what is asked alike is printed once; `recipient`: each recipient has seeds of their"
        " own; `fixed`: all have the same. By default content.",
    )
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = Field(None, description="Of the rule `fixed`.")
    on_block: Annotated[OnBlock, Field(strict=False)] | None = Field(
        None, description="What is done about a print that the safety check blocks; by default fail."
    )
    fallback_image: AssetId | None = Field(None, description="The asset that stands in, of `on_block: fallback`.")
    palette_floor: Share | None = Field(
        None, description="The palette score below which a picture is rolled again; by default none is."
    )
    max_rerolls: Annotated[int, Field(ge=0, le=MOST_REROLLS), Whole] | None = Field(
        None, description="How often one print is rolled again at most; by default 3."
    )
    start_at: Annotated[Moment, _schema(format="date-time")] | None = Field(
        None, description="When an approved campaign starts by itself."
    )
    deadline: Annotated[Moment, _schema(format="date-time")] | None = Field(
        None, description="When it is given up as `expired`."
    )
    priority: Annotated[Priority, Field(strict=False)] | None = Field(None, description="By default bulk.")
    allow_identical: bool | None = Field(
        None, description="Whether a template without variables may go to several recipients; by default not."
    )
    metadata: (
        Annotated[dict[MetadataKey, MetadataValue], Field(max_length=MOST_METADATA), WithJsonSchema(METADATA_SCHEMA)]
        | None
    ) = Field(None, description="Up to 32 short texts that are kept with the campaign and shown with it.")
    webhook_url: Url | None = Field(None, description="Where to be told of this campaign.")
    webhook_events: CampaignEvents | None = Field(None, description="What is told there; by default all.")

    @field_validator("metadata", mode="before")
    @classmethod
    def _refuse_nesting(cls, value: Any) -> Any:
        if isinstance(value, dict) and any(not isinstance(item, str) for item in value.values()):
            raise PydanticCustomError("metadata_limit", "must hold texts only")
        return value

    @classmethod
    def code_of(cls, found: ErrorDetails) -> str:
        """Return the field's own code where it has one."""
        is_metadata = found["loc"][0] == "metadata" and found["type"] not in ("dict_type", "type")
        return "metadata_limit" if is_metadata else super().code_of(found)


class NewCampaign(_CampaignFields):
    """A campaign to be made: one template for many recipients."""

    name: Name = Field(description="For people.", examples=["Birthdays in May"])
    template: NewTemplate
    budget: NewBudget


class CampaignChanges(_CampaignFields):
    """What is to change about a campaign that is not approved yet: each field as a whole; the others stay."""

    name: Name | None = Field(None, description="For people.")
    template: NewTemplate | None = None
    budget: NewBudget | None = None


class NewCampaignHeaders(Header):
    """The headers of a request that makes a campaign."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        description="The same request, sent again with the same key, makes no second campaign.",
        json_schema_extra={"pattern": IDEMPOTENCY_KEY},
    )


class Approval(Body):
    """What is approved."""

    spec_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="The campaign's `spec_digest`, as it was looked at."
    )


class CampaignPath(Path):
    """Names a campaign."""

    campaign_id: Id


class CampaignQuery(Query):
    """Which campaigns to list."""

    status: CampaignStatus | None = Field(None, description="Only campaigns with this status.")
    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Campaigns a page.")
    cursor: str | None = Field(None, description="`next` of the page before.", json_schema_extra={"format": "cursor"})


class CampaignTemplate(Output):
    """The words of an arm."""

    prompt: str
    negative_prompt: str


class CampaignArm(Output):
    """One way of printing, complete."""

    name: str
    weight: int
    template: CampaignTemplate
    style: str | None = Field(description="`name@version`: this version and no other.")
    palette: list[str]
    request: Request = Field(description="All but the prompt and the seed, which each print has for itself.")


class CampaignRecipientList(Output):
    """A list of recipients that was handed in at once."""

    number: int
    status: ListStatus
    columns: list[str]
    accepted: int
    rejected: int
    digest: str | None
    approved_at: Time | None
    created_at: Time


class CampaignRecipients(Output):
    """How many recipients there are, and whence."""

    accepted: int
    rejected: int = Field(description="Rows that cannot be printed; `recipients/errors.csv` has them.")
    approved: int
    lists: list[CampaignRecipientList]


class CampaignBudget(Output):
    """What a campaign may cost, has cost, and what is held for prints in hand."""

    amount: Amount
    spent: Amount
    held: Amount
    currency: str


class Campaign(Output):
    """One template for many recipients under one budget, and how it stands."""

    id: UUID
    object: Literal["campaign"] = "campaign"
    name: str
    status: CampaignStatus
    held_reason: str | None = Field(description="Of status `held`.")
    spec_digest: str | None = Field(description="Of all that would be printed as it stands; an approval names it.")
    variables: list[str] = Field(description="The columns that the templates use.")
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
    quote: CampaignQuote | None = Field(description="What the proofs tell of the whole.")
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
    """A page of campaigns, the newest first."""

    object: Literal["list"] = "list"
    data: list[Campaign]
    has_more: bool
    next: str | None = Field(description="The `cursor` of the next page.")
