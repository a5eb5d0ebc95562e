"""Rename the scope of the operator's usage report: ``usage:house`` is ``usage:all``.

Revision 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OLD, NEW = "usage:house", "usage:all"

api_keys = sa.table("api_keys", sa.column("id", sa.Uuid()), sa.column("scopes", sa.JSON()))


def upgrade() -> None:
    _rename_scope(OLD, NEW)


def downgrade() -> None:
    _rename_scope(NEW, OLD)


def _rename_scope(old: str, new: str) -> None:
    connection = op.get_bind()
    for key in connection.execute(sa.select(api_keys)).all():
        if old in key.scopes:
            scopes = [new if scope == old else scope for scope in key.scopes]
            connection.execute(sa.update(api_keys).where(api_keys.c.id == key.id).values(scopes=scopes))
