"""Creates the prints of the next recipients, and updates them together with their copies."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, exists, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from common.campaigns import rendering
from common.campaigns.rendering import RenderingError
from common.campaigns.spec import CampaignSpec
from common.db.clock import fetch_now
from common.db.ids import create_id
from common.states.campaigns import ListStatus, PrintStatus
from common.tables import Campaign, Print, Recipient, RecipientList

BATCH = 500
_INSERT = insert(cast("Table", Print.__table__))
_SHARED = ("status", "image_id", "job_id", "seed", "error_code", "error_message", "error_retryable", "updated_at")
"""The columns that a copy takes over from its original."""


def count_prints(session: Session, campaign: Campaign, status: PrintStatus) -> int:
    """Return how many prints of *campaign* are in *status*, copies left out."""
    originals = select(func.count()).where(
        Print.campaign_id == campaign.id, Print.status == status, Print.original_id.is_(None)
    )
    return session.scalars(originals).one()


def select_waiting(campaign: Campaign, most: int) -> Select[Print, Recipient]:
    """Select the next prints without an open job, each with its recipient."""
    return (
        select(Print, Recipient)
        .join(Recipient, Recipient.id == Print.recipient_pk)
        .where(Print.campaign_id == campaign.id, Print.status == PrintStatus.WAITING, Print.original_id.is_(None))
        .order_by(Print.id)
        .limit(most)
    )


def fetch_next_recipients(session: Session, campaign: Campaign, most: int) -> list[Recipient]:
    """Return the next rows of the approved lists, in order, and record that they have been fetched."""
    found: list[Recipient] = []
    lists = (
        select(RecipientList)
        .where(_filter_approved(campaign), RecipientList.fed < select_last_row(RecipientList))
        .order_by(RecipientList.number)
    )
    for each in session.scalars(lists):
        rows = session.scalars(
            select(Recipient)
            .where(Recipient.campaign_id == campaign.id, Recipient.list_number == each.number, Recipient.row > each.fed)
            .order_by(Recipient.row)
            .limit(most - len(found))
        ).all()
        if rows:
            each.fed = rows[-1].row
            found.extend(rows)
        if len(found) >= most:
            break
    session.flush()
    return found


def select_last_row(of: type[RecipientList]) -> ColumnElement[int]:
    """Return, as SQL, the number of a list's last row; nothing of an empty one, which compares as false."""
    return (
        select(func.max(Recipient.row))
        .where(Recipient.campaign_id == of.campaign_id, Recipient.list_number == of.number)
        .scalar_subquery()
    )


def has_unfed_rows(session: Session, campaign: Campaign) -> bool:
    """Return whether an approved row has not been fed yet."""
    unfed = exists().where(_filter_approved(campaign), RecipientList.fed < select_last_row(RecipientList))
    return bool(session.scalar(select(unfed)))


def create_prints(
    session: Session, campaign: Campaign, spec: CampaignSpec, recipients: Sequence[Recipient], **own: Any
) -> int:
    """Create the prints of *recipients* that do not exist yet; return how many must be printed.

    A request that was made before gets a copy, which follows its original. The campaign is locked.
    """
    made = _fetch_existing(session, recipients)
    fresh = {"updated_at": fetch_now(session)} | own
    planned = [
        _build_print_row(campaign, spec, recipient, index) | fresh
        for recipient in recipients
        for index in range(spec.images_per_recipient)
        if (recipient.id, index) not in made
    ]
    originals = _find_originals(session, campaign, [row["digest"] for row in planned])
    copied = set[UUID]()
    for row in planned:
        if row["digest"] is None:
            continue
        original_id = originals.setdefault(row["digest"], row["id"])
        if original_id != row["id"]:
            row["original_id"] = original_id
            copied.add(original_id)
    if planned:
        session.connection().execute(_INSERT, planned)
        update_copies(session, copied)
    return sum(row["original_id"] is None and row["status"] is PrintStatus.WAITING for row in planned)


def update_prints(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Bring prints up to date, each by its ``id``, and their copies with them."""
    if not rows:
        return
    moment = fetch_now(session)
    session.execute(update(Print), [{**row, "updated_at": moment} for row in rows])
    update_copies(session, [row["id"] for row in rows])


def update_copies(session: Session, original_ids: Sequence[UUID] | set[UUID]) -> None:
    """Update the copies of some prints to match them; those of erased recipients stay erased."""
    original, ids = aliased(Print), sorted(original_ids)
    for start in range(0, len(ids), BATCH):
        session.execute(
            update(Print)
            .where(
                Print.original_id.in_(_select_living(ids[start : start + BATCH])), Print.status != PrintStatus.ERASED
            )
            .values(
                {
                    name: select(getattr(original, name)).where(original.id == Print.original_id).scalar_subquery()
                    for name in _SHARED
                }
            )
            .execution_options(synchronize_session=False)
        )


def _select_living(ids: Sequence[UUID]) -> Select[UUID]:
    other = aliased(Print)
    return select(other.id).where(other.id.in_(ids), other.status != PrintStatus.ERASED)


def _filter_approved(campaign: Campaign) -> ColumnElement[bool]:
    return (
        (RecipientList.campaign_id == campaign.id)
        & (RecipientList.status == ListStatus.CURRENT)
        & RecipientList.approved_at.is_not(None)
    )


def _fetch_existing(session: Session, recipients: Sequence[Recipient]) -> set[tuple[UUID, int]]:
    ids = [recipient.id for recipient in recipients]
    found = session.execute(select(Print.recipient_pk, Print.index).where(Print.recipient_pk.in_(ids)))
    return {(recipient_pk, index) for recipient_pk, index in found}


def _find_originals(session: Session, campaign: Campaign, digests: Sequence[str | None]) -> dict[str, UUID]:
    wanted = {digest for digest in digests if digest is not None}
    found = session.execute(
        select(Print.digest, Print.id).where(
            Print.campaign_id == campaign.id, Print.digest.in_(wanted), Print.original_id.is_(None)
        )
    )
    return {row.digest: row.id for row in found}


def _build_print_row(campaign: Campaign, spec: CampaignSpec, recipient: Recipient, index: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": create_id(),
        "campaign_id": campaign.id,
        "recipient_pk": recipient.id,
        "index": index,
        "arm": recipient.arm,
        "status": PrintStatus.WAITING,
        "rerolls": 0,
        "held": Decimal(0),
        "amount": Decimal(0),
        "is_proof": False,
        **dict.fromkeys(("digest", "seed", "original_id", "job_id", "image_id")),
        **dict.fromkeys(("error_code", "error_message", "error_retryable")),
    }
    if recipient.erased_at is not None:
        return row | {"status": PrintStatus.ERASED}
    try:
        request, digest = rendering.build_request(spec, campaign.salt, recipient, index)
    except (
        RenderingError
    ) as error:  # its row was checked when it came in; whatever has changed since, it is accounted for
        fault = {"error_code": error.code, "error_message": error.message, "error_retryable": False}
        return row | {"status": PrintStatus.FAILED} | fault
    return row | {"digest": digest, "seed": request.seed}
