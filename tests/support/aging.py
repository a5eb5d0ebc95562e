"""Keys with terms of their own, and jobs that are older than they are."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update

from common.access import keys
from common.access.keys import RetentionDays
from common.db.clock import now_sql
from common.db.engine import Database
from common.tables import ApiKey, Attempt, Image, Job, WebhookMessage
from tests.support import factories

DAY = timedelta(days=1)


def make_key(database: Database, owner: str, **kept: int) -> UUID:
    """Make a key that keeps things for so many days; return its row's id."""
    with database.transaction() as session:
        prefix = keys.create_api_key(session, owner, kept=RetentionDays(**kept)).split("_")[1]
        return session.scalars(select(ApiKey.id).where(ApiKey.prefix == prefix)).one()


def age(database: Database, job_id: UUID, by: timedelta) -> None:
    """Have a job that has ended, its attempts, images and messages be so old."""
    with database.transaction() as session:
        factories.lift_guards(session)
        moment = now_sql(session, -by)
        session.execute(update(Job).where(Job.id == job_id).values(finished_at=moment))
        session.execute(update(Attempt).where(Attempt.job_id == job_id).values(ended_at=moment))
        session.execute(update(Image).where(Image.job_id == job_id).values(created_at=moment))
        session.execute(update(WebhookMessage).where(WebhookMessage.job_id == job_id).values(created_at=moment))


def settle_messages(database: Database) -> None:
    """Have every message be delivered."""
    with database.transaction() as session:
        session.execute(update(WebhookMessage).values(state="delivered"))
