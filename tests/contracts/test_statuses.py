"""Every value of every stored enumeration is let through by the constraint of its column, and nothing else is.

Alembic's comparison does not see a member that was added in the code alone; this does.
"""

import re

import pytest
import sqlalchemy
from sqlalchemy import CheckConstraint, Column, Enum

from common import tables
from common.db.engine import Database

TABLES = tables.Job.metadata.sorted_tables
COLUMNS = [column for table in TABLES for column in table.columns if isinstance(column.type, Enum)]


def _allowed(database: Database, column: Column[object]) -> set[str]:
    constraints = sqlalchemy.inspect(database.engine).get_check_constraints(column.table.name)
    texts = [found["sqltext"] for found in constraints if re.search(rf"\b{column.name}\b", found["sqltext"])]
    lists = [set(re.findall(r"'([^']*)'", text)) for text in texts if " OR " not in text.upper()]
    assert len(lists) == 1, f"{column} has {len(lists)} constraints: {texts}"
    return lists[0]


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_the_constraint_of_a_column_lists_the_members_of_its_enumeration(
    database: Database, column: Column[object]
) -> None:
    assert isinstance(column.type, Enum)
    assert _allowed(database, column) == set(column.type.enums)


def test_the_columns_with_an_enumeration_are_the_known_ones() -> None:
    assert {str(column) for column in COLUMNS} == {
        "jobs.status",
        "jobs.priority",
        "attempts.outcome",
        "images.status",
        "images.verdict",
        "images.safety_mode",
        "assets.verdict",
        "campaigns.status",
        "campaigns.priority",
        "recipient_lists.status",
        "prints.status",
        "quarantined_images.state",
        "reviews.act",
        "webhook_endpoints.status",
        "webhook_messages.state",
    }
    named = [c for t in TABLES for c in t.constraints if isinstance(c, CheckConstraint)]
    assert all(constraint.name for constraint in named)
