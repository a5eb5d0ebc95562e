"""Compare ids of recipients in their case, e-mail addresses excepted: each key is built anew from its id.

Revision 0017, after 0016. On PostgreSQL each batch is committed: nobody waits for long, and an interrupted migration goes
on where it was.
"""

import unicodedata
from contextlib import nullcontext

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BATCH = 2000

RECIPIENTS = sa.table(
    "recipients",
    *(sa.column(name) for name in ("recipient_id", "key", "erased_at")),
    sa.column("id", sa.Uuid()),
)


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    with op.get_context().autocommit_block() if is_postgresql else nullcontext():
        last = None
        while (last := _rewrite_keys(last)) is not None:
            pass


def downgrade() -> None:
    pass  # Not undone: ids that differ in their case alone cannot have one key.


def _rewrite_keys(last: object) -> object:
    """Rewrite the keys of the batch after the recipient *last*; return its last recipient, or None after the end."""
    columns, connection = RECIPIENTS.c, op.get_bind()
    query = sa.select(columns.id, columns.recipient_id, columns.key)
    query = query.where(columns.key != columns.recipient_id, columns.erased_at.is_(None))
    query = query if last is None else query.where(columns.id > last)
    rows = connection.execute(query.order_by(columns.id).limit(BATCH)).all()
    keys = {row.id: _build_key(row.recipient_id) for row in rows}
    plain = [row.id for row in rows if keys[row.id] == row.recipient_id]
    if plain:
        connection.execute(RECIPIENTS.update().where(columns.id.in_(plain)).values(key=columns.recipient_id))
    for row in rows:
        if keys[row.id] not in (row.recipient_id, row.key):
            connection.execute(RECIPIENTS.update().where(columns.id == row.id).values(key=keys[row.id]))
    return rows[-1].id if rows else None


def _build_key(recipient_id: str) -> str:
    text = unicodedata.normalize("NFC", recipient_id)
    name, _, host = text.rpartition("@")
    return unicodedata.normalize("NFC", text.casefold()) if name and host else text
