"""Convert campaigns to their JSON representation."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from api.campaigns import schemas
from api.campaigns.run_schemas import (
    AmountSpan,
    CampaignProgress,
    CampaignQuote,
    PrintCounts,
    Proof,
    ProofList,
    SecondsSpan,
)
from api.images import serializers as image_serializers
from api.jobs import serializers as job_serializers
from api.runtime.context import AppContext, current_context
from common.campaigns import digest, progress as campaign_progress, queries, rendering
from common.campaigns.printing import proofs
from common.campaigns.printing.quote import Interval, Quote
from common.campaigns.progress import Tally
from common.campaigns.recipients import notes
from common.campaigns.recipients.lists import ListContents
from common.campaigns.spec import Arm, CampaignSpec, SeedRule
from common.db.types import round_money
from common.states.campaigns import ListStatus, PrintStatus
from common.states.webhooks import parse_events
from common.tables import Campaign, RecipientList


def serialize_progress(session: Session, campaign: Campaign) -> CampaignProgress:
    """Return the progress of *campaign*."""
    progress = campaign_progress.count_progress(session, campaign)
    return CampaignProgress(
        share=progress.share,
        prints=_serialize_tally(progress.total),
        arms={name: _serialize_tally(tally) for name, tally in progress.arms.items()},
        per_minute=progress.per_minute,
        finishes_at=progress.finishes_at,
    )


def serialize_quote(campaign: Campaign) -> CampaignQuote | None:
    """Return the quote based on the proofs of *campaign*; None before the first proofs."""
    if campaign.quote is None:
        return None
    quote = Quote.from_row(campaign.quote)
    return CampaignQuote(
        proofs=quote.proofs,
        prints=quote.prints,
        gpu_seconds=_serialize_seconds(quote.gpu_seconds),
        amount=AmountSpan(**{name: _round_amount(value) for name, value in vars(quote.amount).items()}),
        currency=campaign.currency,
        hours=_serialize_seconds(quote.hours),
        block_rate=quote.block_rate,
        batch=quote.batch,
        measured_batch=quote.measured_batch,
        presses=quote.presses,
    )


def serialize_proofs(session: Session, campaign: Campaign, context: AppContext) -> ProofList:
    """Return the proofs of *campaign* with fresh links to them, and its quote."""
    found = [_serialize_proof(proof, context) for proof in proofs.list_proofs(session, campaign)]
    return ProofList(status=campaign.status, data=found, quote=serialize_quote(campaign))


def _serialize_tally(tally: Tally) -> PrintCounts:
    counts: dict[str, Any] = {status.value: tally.by_status[status] for status in PrintStatus}
    return PrintCounts(
        wanted=tally.wanted,
        **counts,
        copies=tally.copies,
        rerolls=tally.rerolls,
        block_rate=tally.block_rate,
        amount=tally.amount,
    )


def _serialize_proof(proof: proofs.Proof, context: AppContext) -> Proof:
    image = image_serializers.serialize_image(proof.image, context) if proof.image is not None else None
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
        prompt_tokens=image.prompt_tokens if image is not None else None,
        gpu_seconds=proof.image.gpu_seconds + proof.image.overrun_seconds if proof.image is not None else None,
        amount=proof.row.amount,
        error_code=proof.row.error_code,
        error_message=proof.row.error_message,
    )


def _serialize_seconds(span: Interval) -> SecondsSpan:
    return SecondsSpan(mean=span.mean, low=span.low, high=span.high)


def _round_amount(value: float | None) -> Decimal | None:
    return None if value is None else round_money(Decimal(repr(value)))


def serialize_campaign(session: Session, row: Campaign, *, with_progress: bool = True) -> schemas.Campaign:
    """Return the representation of *row*; lists leave out the progress, which is expensive to count."""
    spec, lists = CampaignSpec.from_row(row.spec), queries.list_current_lists(session, row.id)
    return schemas.Campaign(
        id=row.id,
        name=row.name,
        status=row.status,
        held_reason=row.held_reason,
        spec_digest=digest.compute_campaign_digest(session, row, current_context().settings) if lists else None,
        variables=sorted(rendering.collect_variables(spec)),
        arms=[_serialize_arm(arm) for arm in spec.arms],
        recipients=_serialize_recipients(lists),
        budget=serialize_budget(row),
        progress=serialize_progress(session, row) if with_progress else None,
        quote=serialize_quote(row),
        priority=row.priority,
        start_at=row.start_at,
        deadline=row.deadline_at,
        metadata=row.body.get("metadata", {}),
        webhook_url=row.webhook_url,
        webhook_events=None if row.webhook_events is None else list(parse_events(row.webhook_events)),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        **_serialize_rules(spec),
    )


def serialize_budget(row: Campaign) -> schemas.CampaignBudget:
    """Return the budget of a campaign with the amounts spent and held."""
    return schemas.CampaignBudget(amount=row.budget, spent=row.spent, held=row.held, currency=row.currency)


def _serialize_rules(spec: CampaignSpec) -> dict[str, Any]:
    rules = spec.model_dump(exclude={"arms"})
    return rules | {"seed": spec.seed if spec.seed_rule is SeedRule.FIXED else None}


def _serialize_arm(arm: Arm) -> schemas.CampaignArm:
    return schemas.CampaignArm(
        name=arm.name,
        weight=arm.weight,
        template=schemas.CampaignTemplate(**arm.template.model_dump()),
        style=arm.style,
        palette=[*arm.palette],
        request=job_serializers.serialize_request(arm.request),
    )


def _serialize_recipients(lists: Sequence[RecipientList]) -> schemas.CampaignRecipients:
    return schemas.CampaignRecipients(
        accepted=sum(each.accepted for each in lists),
        rejected=sum(each.rejected for each in lists),
        approved=sum(each.accepted for each in lists if each.approved_at is not None),
        lists=[
            schemas.CampaignRecipientList(
                number=each.number,
                status=ListStatus(each.status),
                columns=each.columns,
                notes=[*notes.describe_contents(ListContents.from_row(each))],
                accepted=each.accepted,
                rejected=each.rejected,
                digest=each.digest,
                approved_at=each.approved_at,
                created_at=each.created_at,
            )
            for each in lists
        ],
    )
