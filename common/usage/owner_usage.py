"""The usage of one owner in a span of time, whole or by group."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, String, cast, func, literal
from sqlalchemy.orm import Session

from common.db.clock import day_sql
from common.tables import ApiKey, Attempt, Job
from common.tables.usage import UsageSum
from common.usage.lines import Rows
from common.usage.sources import Source, load_lines
from common.usage.spans import Span
from common.usage.usage import Usage, sum_lines


class GroupBy(StrEnum):
    """What usage can be grouped by."""

    DAY = "day"  # UTC, of the attempt's start
    MODEL = "model"
    KEY = "key"  # the id of the API key, as it stands in the key itself
    STATUS = "status"  # of the job
    PRIORITY = "priority"


def load_usage(session: Session, owner: str, since: datetime, until: datetime) -> Usage:
    """Return what *owner* used in attempts that began from *since* to before *until*."""
    groups: dict[str, Usage] = sum_lines(load_lines(session, build_source(session, owner, None), Span(since, until)))
    return groups.get("", Usage())


def load_usage_by_group(
    session: Session, owner: str, since: datetime, until: datetime, group_by: GroupBy
) -> dict[str, Usage]:
    """Return the same by group, in the order of their names; the name is empty for jobs submitted without a key."""
    return sum_lines(load_lines(session, build_source(session, owner, group_by), Span(since, until)))


def build_source(session: Session, owner: str, group_by: GroupBy | None) -> Source:
    """Return the source of an owner's figures."""

    def narrow_attempts(statement: Rows) -> Rows:
        of_owner = statement.join(Job, Job.id == Attempt.job_id).where(Job.owner == owner)
        return of_owner.outerjoin(ApiKey, ApiKey.id == Job.key_id) if group_by is GroupBy.KEY else of_owner

    def narrow_sums(statement: Rows) -> Rows:
        of_owner = statement.where(UsageSum.owner == owner)
        return of_owner.outerjoin(ApiKey, ApiKey.id == UsageSum.key_id) if group_by is GroupBy.KEY else of_owner

    attempts_by, sums_by = _choose_columns(session, group_by)
    return Source(narrow_attempts, attempts_by, narrow_sums, sums_by, UsageSum)


def _choose_columns(session: Session, group_by: GroupBy | None) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Return what is grouped by, in attempts and in sums."""
    match group_by:
        case None:
            everything = cast(literal(""), String)
            return everything, everything
        case GroupBy.DAY:
            return day_sql(session, Attempt.started_at), day_sql(session, UsageSum.begins_at)
        case GroupBy.MODEL:
            return Job.model.expression, UsageSum.model.expression
        case GroupBy.KEY:
            name = func.coalesce(ApiKey.prefix, "")
            return name, name
        case GroupBy.STATUS:
            return cast(Job.status, String), UsageSum.status.expression
        case GroupBy.PRIORITY:
            return cast(Job.priority, String), UsageSum.priority.expression
