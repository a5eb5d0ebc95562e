"""Where new jobs stand in the fair order, and whether their owners have room for them; see ``common.claims``."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from common.claims import QUEUED
from common.db.clock import Clock
from common.orders import Order
from common.tables import Job
from common.tables.states import Priority


class Place(NamedTuple):
    """Where a new job stands, and since when."""

    tag: int
    moment: datetime


# An owner's own flow: what its campaigns have in the queue is bounded by whoever feeds them.
_of_owner = select(Job.id).where(QUEUED, Job.flow == bindparam("owner")).limit(bindparam("most")).subquery()
_of_priority = (QUEUED, Job.priority == bindparam("priority"))
_after_last = (
    select(Job.fair_tag + Job.num_images)
    .where(*_of_priority, Job.flow == bindparam("flow"))
    .order_by(Job.fair_tag.desc())
    .limit(1)
)
_front = select(func.min(Job.fair_tag)).where(*_of_priority)
_STANDING = select(
    Clock(),
    select(func.count()).select_from(_of_owner).scalar_subquery(),
    func.coalesce(_after_last.scalar_subquery(), _front.scalar_subquery(), 0),
)


class Places:
    """Gives orders their places, each as if the jobs of those before it were in the queue already.

    An owner has room for *most* jobs in the queue; those of its campaigns neither need nor take any of it.
    """

    def __init__(self, session: Session, most: int) -> None:
        self._session = session
        self._most = most
        self._next: dict[tuple[str, Priority], Place] = {}
        self._queued: dict[str, int] = {}

    def take(self, order: Order) -> Place | None:
        """Return the place of the next job, or None where its owner has no room."""
        line = (order.flow, order.priority)
        if line not in self._next:
            self._look(order)
        if order.campaign_id is None:
            if self._queued[order.owner] >= self._most:
                return None
            self._queued[order.owner] += 1
        place = self._next[line]
        self._next[line] = place._replace(tag=place.tag + order.request.num_images)
        return place

    def _look(self, order: Order) -> None:
        most = self._most if order.campaign_id is None else 0
        wanted = {"owner": order.owner, "flow": order.flow, "priority": order.priority, "most": most}
        moment, queued, tag = self._session.connection().execute(_STANDING, wanted).one()
        self._next[order.flow, order.priority] = Place(tag, moment)
        if order.campaign_id is None:
            self._queued.setdefault(order.owner, queued)
