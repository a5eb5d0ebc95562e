"""From counted prints, proofs and quotes to the JSON that is shown."""

from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from api.images import serializers
from api.runtime.context import Context
from api.schemas.campaign_runs import (
    AmountSpan,
    CampaignProgress,
    CampaignQuote,
    PrintCounts,
    Proof,
    ProofList,
    SecondsSpan,
)
from common.campaigns import progress as campaign_progress
from common.campaigns.printing import proofs
from common.campaigns.printing.quote import Interval, Quote
from common.campaigns.progress import Tally
from common.tables import Campaign
from common.tables.campaign_states import PrintStatus

NANO = Decimal("1e-9")


def show_progress(session: Session, campaign: Campaign) -> CampaignProgress:
    """Return how far *campaign* is."""
    progress = campaign_progress.count(session, campaign)
    return CampaignProgress(
        share=progress.share,
        prints=_show_tally(progress.total),
        arms={name: _show_tally(tally) for name, tally in progress.arms.items()},
        per_minute=progress.per_minute,
        finishes_at=progress.finishes_at,
    )


def show_quote(campaign: Campaign) -> CampaignQuote | None:
    """Return what the proofs of *campaign* tell of the whole; None while there are none."""
    if campaign.quote is None:
        return None
    quote = Quote.from_row(campaign.quote)
    return CampaignQuote(
        proofs=quote.proofs,
        prints=quote.prints,
        gpu_seconds=_show_seconds(quote.gpu_seconds),
        amount=AmountSpan(**{name: _round(value) for name, value in vars(quote.amount).items()}),
        currency=campaign.currency,
        hours=_show_seconds(quote.hours),
        block_rate=quote.block_rate,
        batch=quote.batch,
        measured_batch=quote.measured_batch,
        presses=quote.presses,
    )


def show_proofs(session: Session, campaign: Campaign, context: Context) -> ProofList:
    """Return the proofs of *campaign* with fresh links to them, and its quote."""
    found = [_show_proof(proof, context) for proof in proofs.list_all(session, campaign)]
    return ProofList(status=campaign.status, data=found, quote=show_quote(campaign))


def _show_tally(tally: Tally) -> PrintCounts:
    counts: dict[str, Any] = {status.value: tally.by_status[status] for status in PrintStatus}
    return PrintCounts(
        wanted=tally.wanted,
        **counts,
        copies=tally.copies,
        rerolls=tally.rerolls,
        block_rate=tally.block_rate,
        amount=tally.amount,
    )


def _show_proof(proof: proofs.Proof, context: Context) -> Proof:
    image = serializers.show_image(proof.image, context) if proof.image is not None else None
    return Proof(
        recipient_id=proof.recipient.recipient_id,
        list_number=proof.recipient.list_number,
        row=proof.recipient.row,
        index=proof.row.index,
        arm=proof.row.arm,
        prompt=proof.prompt,
        status=proof.row.status,
        image_id=image.id if image is not None else None,
        url=image.url if image is not None else None,
        thumbnail_url=image.thumbnail_url if image is not None else None,
        gpu_seconds=proof.image.gpu_seconds + proof.image.overrun_seconds if proof.image is not None else None,
        amount=proof.row.amount,
        error_code=proof.row.error_code,
        error_message=proof.row.error_message,
    )


def _show_seconds(span: Interval) -> SecondsSpan:
    return SecondsSpan(mean=span.mean, low=span.low, high=span.high)


def _round(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(repr(value)).quantize(NANO)
