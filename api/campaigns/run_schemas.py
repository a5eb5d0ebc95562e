"""JSON schemas of campaign runs: progress, proofs, quotes and retries."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from api.images.schemas import PromptTokens
from api.web.output import Amount, Output, Time
from api.web.validation import Body, Query, Whole
from common.states.campaigns import CampaignStatus, PrintStatus

MOST_PROOFS = 50
USUAL_PROOFS = 6


class RetryQuery(Query):
    """The prints to retry."""

    only: Literal["failed", "blocked", "retryable"] | None = Field(
        None,
        description="`retryable`: prints that failed with a temporary error. Defaults to all prints without an image.",
    )


class NewProofs(Body):
    """The number of rows to proof; `{}` for the default."""

    k: Annotated[int, Field(ge=1, le=MOST_PROOFS), Whole] | None = Field(
        None,
        description=f"Sample size: the first row, the longest prompt and random others. Defaults to {USUAL_PROOFS}.",
    )


class PrintCounts(Output):
    """The number of prints by status; there is one print per recipient and index."""

    wanted: int
    waiting: int
    ordered: int
    printed: int
    blocked: int
    failed: int
    canceled: int
    erased: int
    copies: int = Field(
        description="Prints that share the image of another recipient; it is generated and charged once."
    )
    rerolls: int = Field(description="Number of re-rolls over all prints.")
    block_rate: float | None = Field(description="Share of checked prints that the safety check blocked.")
    amount: Amount = Field(description="Cost of the prints.")


class CampaignProgress(Output):
    """The progress of a campaign, counted from its prints."""

    share: float = Field(description="Share of prints that have ended, printed or not, from 0 to 1.")
    prints: PrintCounts
    arms: dict[str, PrintCounts] = Field(description="The counts for each arm.")
    per_minute: float = Field(
        description="Prints ended per minute over the last five minutes; 0 unless the campaign is running."
    )
    finishes_at: Time | None = Field(description="Estimated end at the current pace; null if it cannot be estimated.")


class Proof(Output):
    """A sample print of a row."""

    recipient_id: str
    list_number: int
    row: int
    index: int
    arm: str
    prompt: str
    status: PrintStatus
    image_id: UUID | None
    url: str | None = Field(description="Link that requires no API key; null unless the image was published.")
    thumbnail_url: str | None
    prompt_tokens: PromptTokens | None = Field(
        description="How much of the prompt the model has read; null if that is not known, or no image exists."
    )
    gpu_seconds: float | None
    amount: Amount
    error_code: str | None
    error_message: str | None


class SecondsSpan(Output):
    """A mean with its 90% confidence interval, which is null for a single image."""

    mean: float
    low: float | None
    high: float | None


class AmountSpan(Output):
    """A mean amount of money with its 90% confidence interval."""

    mean: Amount
    low: Amount | None
    high: Amount | None


class CampaignQuote(Output):
    """The estimated cost and duration of the whole campaign, based on its proofs."""

    proofs: int = Field(description="Number of images measured.")
    prints: int = Field(
        description="Number of images in the whole campaign. Identical requests are printed once, so the cost is lower."
    )
    gpu_seconds: SecondsSpan = Field(description="Accelerator seconds per image.")
    amount: AmountSpan = Field(description="Cost of the whole campaign.")
    currency: str
    hours: SecondsSpan = Field(description="Duration of the whole campaign, in hours, on the presses now running.")
    block_rate: float
    batch: float = Field(description="Expected batch size, from the profile of a running press.")
    measured_batch: float = Field(description="Batch size measured in the proofs.")
    presses: int


class ProofList(Output):
    """The proofs of a campaign, in row order, and the resulting quote."""

    object: Literal["list"] = "list"
    status: CampaignStatus = Field(description="`proofing` until all proofs have ended.")
    data: list[Proof]
    quote: CampaignQuote | None = Field(description="Null until at least one proof has an image.")
