"""Builds campaigns directly in the tables, and prints their jobs by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.campaigns import digest, rendering
from common.campaigns.spec import Arm, CampaignSpec, Template
from common.clerk import campaigns as duties
from common.db.clock import now_sql
from common.db.engine import Database
from common.db.ids import create_id
from common.errors import GenerationError
from common.jobs import lifecycle
from common.jobs.attempts import Claim, Spent
from common.settings import Settings
from common.states.campaigns import CampaignStatus, ListStatus, PrintStatus
from common.states.jobs import ImageStatus
from common.tables import Campaign, Image, Print, Recipient, RecipientList
from tests.support import factories
from tests.support.campaigns import invariants

PRICE = Decimal("0.01")
"""What one picture of the press of these tests costs."""

SALT = b"salt of the tests, 32 bytes long"


def arm(name: str = "main", prompt: str = "a card for {{ name }}", **changes: Any) -> Arm:
    """Return an arm of the painted model."""
    request = factories.image_request(prompt="", seed=0)
    return Arm(**({"name": name, "template": Template(prompt=prompt), "request": request} | changes))


def spec(*arms: Arm, **changes: Any) -> CampaignSpec:
    """Return a spec of *arms*, or of the one there is."""
    return CampaignSpec(arms=arms or (arm(),), **changes)


def names(count: int) -> list[str]:
    """Return as many different names."""
    return [f"name{number}" for number in range(count)]


def add_list(session: Session, campaign: Campaign, number: int, people: Sequence[str]) -> RecipientList:
    """Give *campaign* a list of recipients, one for each of *people*."""
    added = RecipientList(
        campaign_id=campaign.id,
        number=number,
        status=ListStatus.CURRENT,
        columns=["name"],
        digest=str(number),
        accepted=len(people),
    )
    session.add(added)
    session.flush()
    chosen = CampaignSpec.from_row(campaign.spec)
    session.add_all(
        Recipient(
            campaign_id=campaign.id,
            list_number=number,
            row=row,
            recipient_id=f"{number}-{row}",
            key=f"{number}-{row}",
            fields={"name": name},
            arm=rendering.choose_arm(chosen, SALT, f"{number}-{row}").name,
        )
        for row, name in enumerate(people, 1)
    )
    session.flush()
    return added


def approve(session: Session, campaign: Campaign, settings: Settings) -> None:
    """Approve all lists of *campaign* as it stands."""
    lists = session.scalars(select(RecipientList).where(RecipientList.campaign_id == campaign.id)).all()
    waiting = [each for each in lists if each.approved_at is None]
    for each in waiting:
        each.approved_at = session.scalar(select(now_sql(session)))
    session.flush()
    for each in waiting:
        each.approved_digest = digest.compute_campaign_digest(session, campaign, settings, approved=True)
    session.flush()


@dataclass
class CampaignFixture:
    """A database with campaigns in it, a clerk that one calls by hand, and a press that prints at a fixed price."""

    database: Database
    settings: Settings
    press_id: UUID = field(default_factory=create_id)

    def __post_init__(self) -> None:
        factories.press(self.database, id=self.press_id)

    def campaign(
        self,
        people: Sequence[str],
        chosen: CampaignSpec | None = None,
        *,
        owner: str = "ada",
        status: CampaignStatus = CampaignStatus.APPROVED,
        **changes: Any,
    ) -> UUID:
        """Enter a campaign for *people*, approved unless *status* says otherwise; return its id."""
        values = {
            "name": "birthdays",
            "spec": (chosen or spec()).model_dump(mode="json"),
            "salt": SALT,
            "budget": Decimal(1000),
            "currency": "USD",
        }
        with self.database.transaction() as session:
            row = Campaign(owner=owner, status=status, **(values | changes))
            session.add(row)
            session.flush()
            add_list(session, row, 1, people)
            if status is CampaignStatus.APPROVED:
                approve(session, row, self.settings)
            return row.id

    def do(self, campaign_id: UUID, act: Callable[..., Any], *arguments: Any) -> Any:
        """Call *act* with a session, the campaign, locked, and *arguments*."""
        with self.database.transaction() as session:
            campaign = session.get_one(Campaign, campaign_id, with_for_update=True)
            return act(session, campaign, *arguments)

    def read(self, campaign_id: UUID) -> Campaign:
        """Return a campaign as it stands."""
        with self.database.reading() as session:
            return session.get_one(Campaign, campaign_id)

    def prints(self, campaign_id: UUID) -> list[Print]:
        """Return the prints of a campaign in the order in which they were made."""
        with self.database.reading() as session:
            return list(session.scalars(select(Print).where(Print.campaign_id == campaign_id).order_by(Print.id)))

    def count(self, campaign_id: UUID, status: PrintStatus) -> int:
        """Return how many prints of a campaign, copies included, are in *status*."""
        return sum(made.status is status for made in self.prints(campaign_id))

    def go_round(self) -> None:
        """Do each of the clerk's duties to campaigns once."""
        duties.start_due_campaigns(self.database, self.settings)
        duties.expire_due_campaigns(self.database)
        duties.settle_campaigns(self.database)
        duties.feed_campaigns(self.database, self.settings)
        duties.cancel_stopped_campaigns(self.database)

    def claim(self) -> Claim | None:
        """Have the press take the best due job."""
        return factories.claim(self.database, self.press_id)

    def print_one(self, cost: Decimal = PRICE, **changes: Any) -> Claim | None:
        """Have the press print the best due job at *cost*, capped as a press does; None if nothing is due."""
        held = self.claim()
        if held is not None:
            self.publish(held, cost, **changes)
        return held

    def publish(self, held: Claim, cost: Decimal = PRICE, **changes: Any) -> None:
        """End an attempt with its one picture."""
        (image,) = factories.images(held)
        image.amount = cost if held.max_amount is None else min(cost, held.max_amount)
        _change(image, changes)
        with self.database.transaction() as session:
            lifecycle.succeed_job(session, held, [image], Spent(1.0))

    def block(self, held: Claim) -> None:
        """End an attempt with its one picture blocked."""
        with self.database.transaction() as session:
            lifecycle.block_job(session, held, factories.images(held, ImageStatus.BLOCKED), Spent(1.0))

    def fail(self, held: Claim) -> None:
        """End an attempt for good without a picture."""
        with self.database.transaction() as session:
            lifecycle.fail_job(session, held, GenerationError(), Spent(1.0))

    def print_all(self, cost: Decimal = PRICE) -> int:
        """Print, settle and feed until nothing is left to do; return how many pictures that made."""
        made = 0
        while True:
            self.go_round()
            if self.print_one(cost) is None:
                return made
            made += 1
            while self.print_one(cost) is not None:
                made += 1

    def check(self) -> None:
        """Hold every campaign against what must hold of all."""
        with self.database.reading() as session:
            invariants.check(session)

    def age(self, campaign_id: UUID, column: str, by: timedelta) -> None:
        """Set one time of a campaign to *by* before now."""
        with self.database.transaction() as session:
            setattr(session.get_one(Campaign, campaign_id), column, session.scalar(select(now_sql(session, -by))))


def _change(image: Image, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        setattr(image, name, value)
