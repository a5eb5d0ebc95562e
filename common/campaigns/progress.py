"""Computes the progress of a campaign by counting its prints; no separate counters are stored."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from common.campaigns.spec import CampaignSpec
from common.db.clock import fetch_now, now_sql
from common.states.campaigns import CampaignStatus, ListStatus, PrintStatus
from common.tables import Campaign, Print, Recipient, RecipientList

STOPPED_EARLY = (CampaignStatus.CANCELED, CampaignStatus.EXPIRED)
PACE_WINDOW = timedelta(minutes=5)
"""What throughput is the mean of."""


@dataclass
class Tally:
    """What came of the prints of one arm, or of all; one for each recipient and index."""

    wanted: int = 0
    by_status: dict[PrintStatus, int] = field(default_factory=lambda: defaultdict(int))
    copies: int = 0  # that are the same as somebody else's, and cost nothing
    rerolls: int = 0
    amount: Decimal = Decimal(0)

    @property
    def done(self) -> int:
        """Return how many have come to an end."""
        return sum(number for status, number in self.by_status.items() if status.is_over)

    @property
    def block_rate(self) -> float | None:
        """Return the share that the safety check refused, of those that it has seen; None if it has seen none."""
        seen = self.by_status[PrintStatus.PRINTED] + self.by_status[PrintStatus.BLOCKED]
        return self.by_status[PrintStatus.BLOCKED] / seen if seen else None


@dataclass
class Progress:
    """How far a campaign is, and when it will be done at this pace."""

    total: Tally
    arms: dict[str, Tally]
    per_minute: float = 0.0  # prints that ended, over the last minutes
    finishes_at: datetime | None = None  # None: it is not running, or nothing has ended lately

    @property
    def share(self) -> float:
        """Return how much of it is done, 0 to 1."""
        return self.total.done / self.total.wanted if self.total.wanted else 0.0


def count_progress(session: Session, campaign: Campaign) -> Progress:
    """Count the prints of *campaign*: those that there are, and those that rows will want which were not fed yet."""
    arms: dict[str, Tally] = defaultdict(Tally)
    lately = 0
    for row in session.execute(_select_counts(session, campaign)):
        tally = arms[row.arm]
        tally.by_status[row.status] += row.prints
        tally.copies += row.copies
        tally.rerolls += row.rerolls
        tally.amount += row.amount
        lately += row.lately if row.status.is_over else 0
    # What a campaign that has been given up has not fed it never will.
    unfed = PrintStatus.CANCELED if campaign.status in STOPPED_EARLY else PrintStatus.WAITING
    for arm, wanted in _count_wanted(session, campaign).items():
        arms[arm].wanted = wanted
        if more := wanted - sum(arms[arm].by_status.values()):
            arms[arm].by_status[unfed] += more
    progress = Progress(_add_tallies(arms.values()), dict(sorted(arms.items())))
    if campaign.status is CampaignStatus.RUNNING and campaign.started_at is not None:
        _add_pace(session, campaign.started_at, progress, lately)
    return progress


def count_shares(session: Session, campaigns: Sequence[Campaign]) -> dict[UUID, float]:
    """Return how much of each of *campaigns* has come to an end, 0 to 1; in two looks, however many they are."""
    begun = [each for each in campaigns if each.started_at is not None and not each.status.is_over]
    ids = [each.id for each in begun]
    done = dict(
        session.execute(
            select(Print.campaign_id, func.count())
            .where(Print.campaign_id.in_(ids), Print.status.in_([each for each in PrintStatus if each.is_over]))
            .group_by(Print.campaign_id)
        ).all()
    )
    rows = dict(
        session.execute(
            select(RecipientList.campaign_id, func.sum(RecipientList.accepted))
            .where(RecipientList.campaign_id.in_(ids), RecipientList.status == ListStatus.CURRENT)
            .group_by(RecipientList.campaign_id)
        ).all()
    )
    shares = {each.id: float(each.status.is_over) for each in campaigns}
    for each in begun:
        wanted = int(rows.get(each.id, 0)) * CampaignSpec.from_row(each.spec).images_per_recipient
        shares[each.id] = done.get(each.id, 0) / wanted if wanted else 0.0
    return shares


def _select_counts(session: Session, campaign: Campaign) -> Select[*tuple[Any, ...]]:
    is_late = Print.updated_at > now_sql(session, -PACE_WINDOW)
    return (
        select(
            Print.arm,
            Print.status,
            func.count().label("prints"),
            func.count(Print.original_id).label("copies"),
            func.sum(case((Print.original_id.is_(None), Print.rerolls), else_=0)).label("rerolls"),
            func.sum(Print.amount).label("amount"),
            func.sum(case((is_late, 1), else_=0)).label("lately"),
        )
        .where(Print.campaign_id == campaign.id)
        .group_by(Print.arm, Print.status)
    )


def _count_wanted(session: Session, campaign: Campaign) -> dict[str, int]:
    """Return how many prints the rows of each arm want."""
    spec = CampaignSpec.from_row(campaign.spec)
    current = (RecipientList.campaign_id == campaign.id) & (RecipientList.status == ListStatus.CURRENT)
    if len(spec.arms) == 1:
        rows = session.scalar(select(func.sum(RecipientList.accepted)).where(current)) or 0
        return {spec.arms[0].name: int(rows) * spec.images_per_recipient}
    found = session.execute(
        select(Recipient.arm, func.count().label("rows"))
        .join(
            RecipientList,
            (RecipientList.campaign_id == Recipient.campaign_id) & (RecipientList.number == Recipient.list_number),
        )
        .where(current)
        .group_by(Recipient.arm)
    )
    return dict.fromkeys((arm.name for arm in spec.arms), 0) | {
        row.arm: row.rows * spec.images_per_recipient for row in found
    }


def _add_tallies(arms: Iterable[Tally]) -> Tally:
    total = Tally()
    for arm in arms:
        total.wanted += arm.wanted
        total.copies += arm.copies
        total.rerolls += arm.rerolls
        total.amount += arm.amount
        for status, number in arm.by_status.items():
            total.by_status[status] += number
    return total


def _add_pace(session: Session, started_at: datetime, progress: Progress, lately: int) -> None:
    moment = fetch_now(session)
    minutes = min(PACE_WINDOW, moment - started_at) / timedelta(minutes=1)
    if lately and minutes > 0:
        progress.per_minute = lately / minutes
        left = progress.total.wanted - progress.total.done
        progress.finishes_at = moment + timedelta(minutes=left / progress.per_minute)
