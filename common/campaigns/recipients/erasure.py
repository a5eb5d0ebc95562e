"""Erases one recipient: everything that names them or was generated only for them; a tombstone with the cost remains.

An image that other recipients share belongs to them as well: it is transferred to one of them, with its job, its cost
and its prompt, which are the same for all.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from common.access import audit
from common.campaigns import queries
from common.campaigns.placeholders import find_column
from common.campaigns.printing import prints, settlement
from common.campaigns.recipients import lists
from common.db.clock import now_sql
from common.db.engine import Database
from common.errors import IllegalTransitionError
from common.images import erasure
from common.jobs import lifecycle
from common.states.campaigns import PrintStatus
from common.states.jobs import TERMINAL, ImageStatus
from common.storage.port import ObjectStore
from common.tables import Campaign, Image, Job, Print, Recipient, RecipientList, RejectedRow
from common.webhooks import outbox

BATCH = 500
ERASABLE = (*erasure.READABLE, ImageStatus.QUARANTINED)
_NO_ERROR = {"error_code": None, "error_message": None, "error_retryable": None}
_TRANSFERRED = ("digest", "seed", "job_id", "image_id", "status", "rerolls", "held", "amount", "is_proof", *_NO_ERROR)
"""The columns of a print that move to the copy that takes its place."""


@dataclass(frozen=True)
class ErasureResult:
    """What was erased, and what is left to do once the transaction is committed."""

    tombstone: str
    images: Sequence[Image]
    """Hidden already; their objects still exist."""
    shared: int
    jobs: int
    rejected_rows: int
    amount: Decimal


@dataclass(frozen=True)
class _Plan:
    """The rows of the recipient who is erased; they and all jobs that the erasure may change are locked."""

    recipients: Sequence[Recipient]
    prints: Sequence[Print]

    @property
    def recipient_pks(self) -> list[UUID]:
        return [recipient.id for recipient in self.recipients]

    @property
    def recipient_ids(self) -> set[str]:
        """Return the ids by which the campaign's jobs name the recipient."""
        return {recipient.recipient_id for recipient in self.recipients}

    @property
    def originals(self) -> list[Print]:
        return [each for each in self.prints if each.original_id is None]


def erase_recipient(session: Session, campaign: Campaign, recipient_id: str) -> ErasureResult | None:
    """Erase the recipient with *recipient_id* from *campaign*, which is locked; return None if there is none.

    Their open jobs are canceled. ``delete_objects`` does the rest after the commit. Raises IllegalTransitionError
    while the campaign imports a list: the rows being imported are in memory too, and would restore the recipient.
    """
    if lists.is_loading(session, campaign):
        raise IllegalTransitionError(
            "The campaign is importing a list; erase the recipient when the import has finished."
        )
    key = queries.normalise_recipient_id(recipient_id)
    plan = _plan_erasure(session, campaign, key)
    blanked = _blank_rejected_rows(session, campaign, key)
    if not plan.recipients and not blanked:
        return None
    tombstone = _name_tombstone(plan.recipients[0].id if plan.recipients else campaign.id)
    copied = [each for each in plan.prints if each.original_id is not None and each.image_id is not None]
    successors = _transfer_shared(session, plan)
    job_ids = _cancel_own_jobs(session, campaign, plan, kept=_transfer_jobs(session, successors))
    images = _hide_images(session, job_ids)
    _anonymise_rows(session, plan)
    audit.blank_events(session, [*plan.recipient_pks, *(each.id for each in plan.prints), *job_ids])
    while settlement.settle_prints(session, campaign):
        pass  # so that no amount stays held for an erased recipient
    amount = sum(session.scalars(select(Print.amount).where(Print.recipient_pk.in_(plan.recipient_pks))), Decimal(0))
    return ErasureResult(tombstone, images, len(copied) + len(successors), len(job_ids), blanked, amount)


def delete_objects(database: Database, storage: ObjectStore, erased: ErasureResult) -> None:
    """Delete the objects of the erased images; on StorageError, the clerk deletes the rest later."""
    erasure.delete_objects(database, storage, erased.images)


def _plan_erasure(session: Session, campaign: Campaign, key: str) -> _Plan:
    """Return the rows of the recipient whose id normalises to *key*, and lock them with their jobs."""
    recipients = session.scalars(
        select(Recipient).where(Recipient.campaign_id == campaign.id, Recipient.key == key).with_for_update()
    ).all()
    pks = [recipient.id for recipient in recipients]
    found = session.scalars(select(Print).where(Print.recipient_pk.in_(pks)).order_by(Print.id)).all()
    plan = _Plan(recipients, found)
    _lock_jobs(session, campaign, plan)
    return plan


def _lock_jobs(session: Session, campaign: Campaign, plan: _Plan) -> None:
    """Lock all jobs that may be transferred or canceled by their ids, the order in which all code locks jobs."""
    originals = [each.id for each in plan.originals]
    ordered = select(Print.job_id).where(Print.id.in_(originals))
    kept = select(Image.job_id).join(Print, Print.image_id == Image.id).where(Print.id.in_(originals))
    either = or_(Job.recipient_id.in_(plan.recipient_ids), Job.id.in_(ordered), Job.id.in_(kept))
    concerned = select(Job.id).where(Job.campaign_id == campaign.id, either)
    session.execute(concerned.order_by(Job.id).with_for_update()).all()


def _transfer_shared(session: Session, plan: _Plan) -> list[Print]:
    """Transfer each print of which other recipients have copies to the first of these; return the successors."""
    successors = []
    for original in plan.originals:
        successor = _find_successor(session, original, plan)
        if successor is not None:
            _transfer_print(session, original, successor)
            successors.append(successor)
    return successors


def _find_successor(session: Session, original: Print, plan: _Plan) -> Print | None:
    """Return the first copy of a print that belongs to another recipient, if there is one."""
    return session.scalar(
        select(Print)
        .where(
            Print.original_id == original.id,
            Print.status != PrintStatus.ERASED,
            Print.recipient_pk.not_in(plan.recipient_pks),
        )
        .order_by(Print.id)
        .limit(1)
    )


def _transfer_print(session: Session, original: Print, successor: Print) -> None:
    """Make *successor*, a copy of *original*, the original of all its copies."""
    transferred = {name: getattr(original, name) for name in _TRANSFERRED}
    original.digest = original.job_id = original.image_id = None
    original.held = original.amount = Decimal(0)
    session.flush()  # only one original may have a digest
    for name, value in transferred.items():
        setattr(successor, name, value)
    successor.original_id = None
    session.flush()
    session.execute(
        update(Print)
        .where(Print.original_id == original.id)
        .values(original_id=successor.id)
        .execution_options(synchronize_session=False)
    )
    prints.update_copies(session, [successor.id])


def _transfer_jobs(session: Session, successors: Sequence[Print]) -> set[UUID]:
    """Assign the jobs behind the successors' images to their recipients; return the ids of these jobs."""
    transferred = set[UUID]()
    for successor in successors:
        image = session.get(Image, successor.image_id) if successor.image_id is not None else None
        job_ids = {job_id for job_id in (successor.job_id, image.job_id if image else None) if job_id is not None}
        recipient_id = session.get_one(Recipient, successor.recipient_pk).recipient_id
        session.execute(update(Job).where(Job.id.in_(job_ids)).values(recipient_id=recipient_id))
        transferred |= job_ids
    return transferred


def _cancel_own_jobs(session: Session, campaign: Campaign, plan: _Plan, *, kept: Collection[UUID]) -> list[UUID]:
    """Cancel and blank the recipient's jobs, earlier rolls included, but for those *kept*; return their ids."""
    own = session.scalars(
        select(Job)
        .where(Job.campaign_id == campaign.id, Job.recipient_id.in_(plan.recipient_ids), Job.id.not_in(kept))
        .order_by(Job.id)
    ).all()
    for job in own:
        if job.status not in TERMINAL:
            lifecycle.cancel_job(session, job)
        job.recipient_id = None
    ids = [job.id for job in own]
    session.flush()
    erasure.erase_prompts(session, Job.id.in_(ids), len(ids))
    outbox.delete_job_messages(session, ids)
    return ids


def _hide_images(session: Session, job_ids: Collection[UUID]) -> Sequence[Image]:
    """Hide the images of some jobs from everybody; return them."""
    images = session.scalars(select(Image).where(Image.job_id.in_(job_ids), Image.status.in_(ERASABLE))).all()
    erasure.hide_images(session, [image.id for image in images], ERASABLE)
    return images


def _anonymise_rows(session: Session, plan: _Plan) -> None:
    """Remove all personal data from the rows of a plan; costs stay, and so does what is held until it is settled."""
    for row in plan.prints:
        row.status = PrintStatus.ERASED
        row.digest = row.seed = row.image_id = row.original_id = None
        for name, value in _NO_ERROR.items():
            setattr(row, name, value)
    for recipient in plan.recipients:
        recipient.recipient_id = recipient.key = _name_tombstone(recipient.id)
        recipient.fields = {}
        recipient.erased_at = session.scalars(select(now_sql(session))).one()
    session.flush()


def _name_tombstone(row_id: UUID) -> str:
    return f"erased-{row_id.hex}"


def _blank_rejected_rows(session: Session, campaign: Campaign, key: str) -> int:
    """Blank the rejected rows of the recipient whose id normalises to *key*; return how many."""
    blanked = 0
    kept = session.scalars(select(RecipientList).where(RecipientList.campaign_id == campaign.id)).all()
    id_columns = {each.id_column for each in kept if each.id_column is not None}
    for each in kept:
        if each.reading is not None:
            each.reading = each.reading | {"sample": None}  # a word of the file, which may be of anybody
        # A list may have the column that holds the ids of another, and is then known by it as well.
        named_by = {column for name in id_columns if (column := find_column(name, each.columns)) is not None}
        places = [each.columns.index(column) for column in named_by]
        for row in _fetch_rejected_rows(session, each):
            names = [row.fields[place] for place in places if place < len(row.fields)]
            if each.id_column is None:
                names.append(str(row.row))
            if key in (queries.normalise_recipient_id(name.strip()) for name in names):
                row.fields = [""] * len(row.fields)
                row.errors = [{"code": "erased", "column": "", "detail": "The recipient was erased."}]
                blanked += 1
    session.flush()
    return blanked


def _fetch_rejected_rows(session: Session, of: RecipientList) -> Iterable[RejectedRow]:
    return session.scalars(
        select(RejectedRow)
        .where(RejectedRow.campaign_id == of.campaign_id, RejectedRow.list_number == of.number)
        .execution_options(yield_per=BATCH)
    )
