"""The JSON of campaigns that run: how far they are, their proofs, and what is done with them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from api.web.output import Amount, Output, Time
from api.web.validation import Body, Query, Whole
from common.tables.campaign_states import CampaignStatus, PrintStatus

MOST_PROOFS = 50
USUAL_PROOFS = 6


class RetryQuery(Query):
    """Which prints are tried again."""

    only: Literal["failed", "blocked", "retryable"] | None = Field(
        None, description="`retryable`: failed, by something that may pass. By default all that came to nothing."
    )


class NewProofs(Body):
    """How many rows are proofed; `{}` for the default."""

    k: Annotated[int, Field(ge=1, le=MOST_PROOFS), Whole] | None = Field(
        None,
        description=f"Sample rows: the first, that with the longest prompt, others by lot. By default {USUAL_PROOFS}.",
    )


class PrintCounts(Output):
    """How many prints there are, one for each recipient and index, and how they stand."""

    wanted: int
    waiting: int
    ordered: int
    printed: int
    blocked: int
    failed: int
    canceled: int
    erased: int
    copies: int = Field(description="Of these, the same picture as another recipient's: made once, charged once.")
    rerolls: int = Field(description="How often a picture was rolled again, over all prints.")
    block_rate: float | None = Field(description="Blocked, of those that the safety check saw in the end.")
    amount: Amount = Field(description="What the prints cost.")


class CampaignProgress(Output):
    """How far a campaign is, counted from its prints."""

    share: float = Field(description="How much of it has come to an end, 0 to 1; not all that ends is printed.")
    prints: PrintCounts
    arms: dict[str, PrintCounts] = Field(description="The same for each arm.")
    per_minute: float = Field(description="Prints that ended, over the last five minutes; 0 unless it is running.")
    finishes_at: Time | None = Field(description="At this pace; null while nothing can be told.")


class Proof(Output):
    """The picture of a sample row."""

    recipient_id: str
    list_number: int
    row: int
    index: int
    arm: str
    prompt: str
    status: PrintStatus
    image_id: UUID | None
    url: str | None = Field(description="A link that needs no key; null unless the picture was published.")
    thumbnail_url: str | None
    gpu_seconds: float | None
    amount: Amount
    error_code: str | None
    error_message: str | None


class SecondsSpan(Output):
    """A mean, and the span that holds the truth in nine of ten cases; no span from one picture."""

    mean: float
    low: float | None
    high: float | None


class AmountSpan(Output):
    """The same of money."""

    mean: Amount
    low: Amount | None
    high: Amount | None


class CampaignQuote(Output):
    """What the whole campaign will cost and take, by what its proofs did."""

    proofs: int = Field(description="Pictures that were measured.")
    prints: int = Field(description="Pictures of the whole; what is asked twice is printed once, and costs less.")
    gpu_seconds: SecondsSpan = Field(description="Of one picture.")
    amount: AmountSpan = Field(description="Of the whole.")
    currency: str
    hours: SecondsSpan = Field(description="Of the whole, on the presses that are up.")
    block_rate: float
    batch: float = Field(description="Pictures that will be stepped together, by the profile of a press that is up.")
    measured_batch: float = Field(description="Pictures that were, among the proofs.")
    presses: int


class ProofList(Output):
    """The proofs of a campaign, in the order of the rows, and what they tell of the whole."""

    object: Literal["list"] = "list"
    status: CampaignStatus = Field(description="`proofing` until all proofs have come to an end.")
    data: list[Proof]
    quote: CampaignQuote | None = Field(description="Null until there is a picture to go by.")
