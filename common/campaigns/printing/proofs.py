"""Proofs: a few sample prints made before approval, for review and as the basis of the quote."""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from uuid import UUID

from sqlalchemy import Select, String, cast, delete, func, select, update
from sqlalchemy.orm import Session

from common.campaigns import rendering
from common.campaigns.printing import budget, ordering, prints, quote as printing_quote
from common.campaigns.spec import CampaignSpec
from common.campaigns.status import move_campaign
from common.db.types import split_money
from common.errors import IllegalTransitionError, PressroomError
from common.states.campaigns import CampaignStatus, ListStatus, PrintStatus
from common.states.jobs import Priority
from common.tables import Campaign, Image, Print, Recipient, RecipientList

CANDIDATES = 100
"""How many rows with the longest values are searched for the longest prompt."""


class BudgetSpentError(PressroomError):
    """The remaining budget is not sufficient."""

    code = "budget_spent"


@dataclass(frozen=True)
class Proof:
    """One proof to review: its print, recipient, prompt and image."""

    row: Print
    recipient: Recipient
    prompt: str
    image: Image | None


def submit_proofs(session: Session, campaign: Campaign, rows: int) -> int:
    """Submit the prints of *rows* sample rows that are not printed yet, with interactive priority; return how many.

    The sample is the first row, the one with the longest prompt, and rows drawn at random with the campaign's salt as
    seed: the same every time. Raises BudgetSpentError, and IllegalTransitionError unless the campaign, which is locked,
    is ready.
    """
    if campaign.status is not CampaignStatus.READY:
        raise IllegalTransitionError(f"The campaign is {campaign.status}; proofs require status ready.")
    spec = CampaignSpec.from_row(campaign.spec)
    budget.estimate_reservation(session, campaign, spec)
    prints.create_prints(session, campaign, spec, choose_recipients(session, campaign, spec, rows), is_proof=True)
    waiting = prints.count_prints(session, campaign, PrintStatus.WAITING)
    if not waiting:
        return 0
    left = max(budget.compute_remaining(campaign), Decimal(0))
    reservation = campaign.reservation
    if reservation is None:
        reservation = split_money(left, waiting)
    if left <= 0 or reservation * waiting > left:
        raise BudgetSpentError
    move_campaign(session, campaign, CampaignStatus.PROOFING)
    return ordering.submit_prints(session, campaign, spec, waiting, reservation, priority=Priority.INTERACTIVE)


def conclude_proofs(session: Session, campaign: Campaign) -> None:
    """Build the quote and make the campaign ready again once all proofs have ended; submit rerolls until then."""
    if campaign.status is not CampaignStatus.PROOFING:
        return
    waiting = prints.count_prints(session, campaign, PrintStatus.WAITING)
    if waiting:
        affordable, reservation = budget.compute_affordable(campaign, waiting)
        spec = CampaignSpec.from_row(campaign.spec)
        if affordable and ordering.submit_prints(
            session, campaign, spec, affordable, reservation, priority=Priority.INTERACTIVE
        ):
            return
    if prints.count_prints(session, campaign, PrintStatus.ORDERED):
        return
    quote = printing_quote.build_quote(session, campaign)
    move_campaign(session, campaign, CampaignStatus.READY, quote=None if quote is None else quote.as_json())


def discard_proofs(session: Session, campaign: Campaign) -> None:
    """Delete the proofs of a campaign whose content changes; their cost stays spent."""
    mine = Print.campaign_id == campaign.id
    session.execute(update(Print).where(mine).values(original_id=None, digest=None))
    session.execute(delete(Print).where(mine))
    campaign.quote = None
    campaign.reservation = None
    session.flush()


def choose_recipients(session: Session, campaign: Campaign, spec: CampaignSpec, rows: int) -> list[Recipient]:
    """Return *rows* recipients, or all if there are fewer: the first, the longest, and some at random."""
    chosen: dict[UUID, Recipient] = {}
    for recipient in _iterate_candidates(session, campaign, spec, rows):
        chosen.setdefault(recipient.id, recipient)
        if len(chosen) == rows:
            break
    return list(chosen.values())


def list_proofs(session: Session, campaign: Campaign) -> list[Proof]:
    """Return the proofs in the order of their rows."""
    found = session.execute(
        select(Print, Recipient, Image)
        .join(Recipient, Recipient.id == Print.recipient_pk)
        .outerjoin(Image, Image.id == Print.image_id)
        .where(Print.campaign_id == campaign.id, Print.is_proof)
        .order_by(Recipient.list_number, Recipient.row, Print.index)
    ).all()
    spec = CampaignSpec.from_row(campaign.spec)
    return [Proof(made, to, _render_prompt(spec, made, to), image) for made, to, image in found]


def _render_prompt(spec: CampaignSpec, made: Print, to: Recipient) -> str:
    return "" if to.erased_at is not None else rendering.render_prompts(spec.arm(made.arm), to.fields).prompt


def _iterate_candidates(session: Session, campaign: Campaign, spec: CampaignSpec, rows: int) -> Iterator[Recipient]:
    """Yield recipients in order of preference, some more than once."""
    lists = _fetch_last_rows(session, campaign)
    if not lists:
        return
    yield from _fetch_from_row(session, campaign, *next(iter(lists.items())), first=1)
    yield from _fetch_longest(session, campaign, spec)
    drawn = hmac.digest(campaign.salt, b"proofs", hashlib.sha256)
    lot = Random(drawn)  # noqa: S311  (a lot to be drawn the same way again, not a secret)
    numbers = list(lists)
    for _ in range(8 * rows):
        number = lot.choices(numbers, weights=[lists[each] for each in numbers])[0]
        yield from _fetch_from_row(session, campaign, number, lists[number], first=lot.randint(1, lists[number]))
    # Few rows are left over where the lot has drawn the same ones again and again.
    yield from session.scalars(_select_current(campaign).order_by(Recipient.list_number, Recipient.row).limit(rows))


def _fetch_last_rows(session: Session, campaign: Campaign) -> dict[int, int]:
    """Return the number of the last row of each list that has rows."""
    found = session.execute(
        select(RecipientList.number, prints.select_last_row(RecipientList).label("last"))
        .where(RecipientList.campaign_id == campaign.id, RecipientList.status == ListStatus.CURRENT)
        .order_by(RecipientList.number)
    )
    return {number: last for number, last in found if last is not None}


def _fetch_from_row(session: Session, campaign: Campaign, number: int, last: int, *, first: int) -> Sequence[Recipient]:
    """Return the first recipient at or after a row: rows that were rejected leave gaps."""
    rows = Recipient.row.between(first, last)
    found = select(Recipient).where(Recipient.campaign_id == campaign.id, Recipient.list_number == number, rows)
    return session.scalars(found.order_by(Recipient.row).limit(1)).all()


def _fetch_longest(session: Session, campaign: Campaign, spec: CampaignSpec) -> list[Recipient]:
    """Return the recipient with the longest prompt among those with the longest values."""
    length = func.length(cast(Recipient.fields, String))
    found = session.scalars(
        _select_current(campaign).order_by(length.desc(), Recipient.list_number, Recipient.row).limit(CANDIDATES)
    ).all()
    longest = max(
        found, key=lambda each: len(rendering.render_prompts(spec.arm(each.arm), each.fields).prompt), default=None
    )
    return [longest] if longest is not None else []


def _select_current(campaign: Campaign) -> Select[Recipient]:
    return (
        select(Recipient)
        .join(
            RecipientList,
            (RecipientList.campaign_id == Recipient.campaign_id) & (RecipientList.number == Recipient.list_number),
        )
        .where(
            Recipient.campaign_id == campaign.id,
            RecipientList.status == ListStatus.CURRENT,
            Recipient.erased_at.is_(None),
        )
    )
