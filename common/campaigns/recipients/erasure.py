"""Erases one recipient: everything that names them or was made only for them; a tombstone with the cost remains.

A picture that others share is theirs as well: it is handed over to one of them, with its job, its cost and its words,
which are the same for all.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from common.campaigns import queries
from common.campaigns.printing import prints, settlement
from common.campaigns.recipients import lists
from common.campaigns.recipients.validation import ID_COLUMN
from common.db.clock import now_sql
from common.db.engine import Database
from common.errors import IllegalTransitionError
from common.images import erasure
from common.jobs import lifecycle
from common.storage.port import Storage
from common.tables import Campaign, Image, Job, Print, Recipient, RecipientList, RejectedRow
from common.tables.campaign_states import PrintStatus
from common.tables.states import TERMINAL, ImageStatus
from common.webhooks import outbox

BATCH = 500
ERASABLE = (*erasure.READABLE, ImageStatus.QUARANTINED)
_NO_ERROR = {"error_code": None, "error_message": None, "error_retryable": None}
_TRANSFERRED = ("digest", "seed", "job_id", "image_id", "status", "rerolls", "held", "amount", "is_proof", *_NO_ERROR)
"""What a print leaves to the copy that takes its place."""


@dataclass(frozen=True)
class ErasureResult:
    """What was erased, and what has to be done about it when the transaction is over."""

    tombstone: str
    images: Sequence[Image]
    """Hidden already; their objects are still there."""
    shared: int
    jobs: int
    rejected_rows: int
    amount: Decimal


def erase_recipient(session: Session, campaign: Campaign, recipient_id: str) -> ErasureResult | None:
    """Erase whoever *recipient_id* means from *campaign*, which is locked; None if it knows no such person.

    Their open jobs are canceled. ``drop_objects`` does the rest after the commit. Raises IllegalTransitionError
    while a list is being filled: its rows are in memory too, and would bring the person back.
    """
    if lists.is_loading(session, campaign):
        raise IllegalTransitionError(
            "The campaign is importing a list; erase the recipient when the import has finished."
        )
    key = queries.normalise_recipient_id(recipient_id)
    people = session.scalars(
        select(Recipient).where(Recipient.campaign_id == campaign.id, Recipient.key == key).with_for_update()
    ).all()
    blanked = _blank_rejected(session, campaign, key)
    if not people and not blanked:
        return None
    ids = [person.id for person in people]
    made = session.scalars(select(Print).where(Print.recipient_pk.in_(ids)).order_by(Print.id)).all()
    names = {person.recipient_id for person in people}
    _lock_jobs(session, campaign, made, names)
    copies = [each for each in made if each.original_id is not None and each.image_id is not None]
    left = [
        heir for each in made if each.original_id is None and (heir := _transfer_row(session, each, ids)) is not None
    ]
    kept = _transfer_jobs(session, left)
    job_ids = _end_jobs(session, campaign, names, kept)
    images = session.scalars(select(Image).where(Image.job_id.in_(job_ids), Image.status.in_(ERASABLE))).all()
    erasure.hide_images(session, [image.id for image in images], ERASABLE)
    for each in made:
        _blank_print(each)
    for person in people:
        _anonymise_row(session, person)
    session.flush()
    tombstone = people[0].recipient_id if people else f"erased-{campaign.id.hex}"
    while settlement.settle_prints(session, campaign):
        pass  # so that nothing is held for somebody who is not there
    amount = sum(session.scalars(select(Print.amount).where(Print.recipient_pk.in_(ids))), Decimal(0))
    return ErasureResult(tombstone, images, len(copies) + len(left), len(job_ids), blanked, amount)


def delete_objects(database: Database, storage: Storage, erased: ErasureResult) -> None:
    """Delete the objects of what was erased; raise StorageError, and then the clerk does what is left."""
    for image in erased.images:
        erasure.delete_objects(database, storage, image)


def _lock_jobs(session: Session, campaign: Campaign, made: Sequence[Print], names: Collection[str]) -> None:
    """Lock all jobs that are to be handed over or ended, in the order in which all lock several: by their ids."""
    originals = [each.id for each in made if each.original_id is None]
    ordered = select(Print.job_id).where(Print.id.in_(originals))
    kept = select(Image.job_id).join(Print, Print.image_id == Image.id).where(Print.id.in_(originals))
    either = or_(Job.recipient_id.in_(names), Job.id.in_(ordered), Job.id.in_(kept))
    theirs = select(Job.id).where(Job.campaign_id == campaign.id, either)
    session.execute(theirs.order_by(Job.id).with_for_update()).all()


def _transfer_row(session: Session, made: Print, people: Collection[UUID]) -> Print | None:
    """Have the first copy of a print that is not of the same *people* take its place; return it, if there is one."""
    living = (Print.original_id == made.id, Print.status != PrintStatus.ERASED, Print.recipient_pk.not_in(people))
    heir = session.scalar(select(Print).where(*living).order_by(Print.id).limit(1))
    if heir is None:
        return None
    estate = {name: getattr(made, name) for name in _TRANSFERRED}
    made.digest = made.job_id = made.image_id = None
    made.held = made.amount = Decimal(0)
    session.flush()  # a digest has one original only
    for name, value in estate.items():
        setattr(heir, name, value)
    heir.original_id = None
    session.flush()
    session.execute(
        update(Print)
        .where(Print.original_id == made.id)
        .values(original_id=heir.id)
        .execution_options(synchronize_session=False)
    )
    prints.update_copies(session, [heir.id])
    return heir


def _transfer_jobs(session: Session, heirs: Sequence[Print]) -> set[UUID]:
    """Give heirs the jobs by which their pictures are made or were; return these."""
    kept = set[UUID]()
    for heir in heirs:
        image = session.get(Image, heir.image_id) if heir.image_id is not None else None
        theirs = {job_id for job_id in (heir.job_id, image.job_id if image else None) if job_id is not None}
        name = session.get_one(Recipient, heir.recipient_pk).recipient_id
        session.execute(update(Job).where(Job.id.in_(theirs)).values(recipient_id=name))
        kept |= theirs
    return kept


def _end_jobs(session: Session, campaign: Campaign, names: Collection[str], kept: Collection[UUID]) -> list[UUID]:
    """Cancel and blank the jobs that were made for a person alone, early tries included; return their ids."""
    theirs = session.scalars(
        select(Job)
        .where(Job.campaign_id == campaign.id, Job.recipient_id.in_(names), Job.id.not_in(kept))
        .order_by(Job.id)
    ).all()
    for job in theirs:
        if job.status not in TERMINAL:
            lifecycle.cancel_job(session, job)
        job.recipient_id = None
    ids = [job.id for job in theirs]
    session.flush()
    erasure.erase_prompts(session, Job.id.in_(ids), len(ids))
    outbox.delete_job_messages(session, ids)
    return ids


def _blank_print(made: Print) -> None:
    """Leave nothing of a print but its cost, and what is held for it until that is settled."""
    made.status = PrintStatus.ERASED
    made.digest = made.seed = made.image_id = made.original_id = None
    for name, value in _NO_ERROR.items():
        setattr(made, name, value)


def _anonymise_row(session: Session, person: Recipient) -> None:
    person.recipient_id = person.key = f"erased-{person.id.hex}"
    person.fields = {}
    person.erased_at = session.scalars(select(now_sql(session))).one()


def _blank_rejected(session: Session, campaign: Campaign, key: str) -> int:
    """Blank the rejected rows of the person whose id comes to *key*; return how many."""
    blanked = 0
    for each in session.scalars(select(RecipientList).where(RecipientList.campaign_id == campaign.id)).all():
        place = each.columns.index(ID_COLUMN) if ID_COLUMN in each.columns else None
        for row in _fetch_rejected_rows(session, each):
            named = str(row.row) if place is None else "".join(row.fields[place : place + 1])
            if queries.normalise_recipient_id(named.strip()) == key:
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
