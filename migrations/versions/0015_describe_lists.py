"""Keep how each list and each asset was read, and compare ids in their case.

Revision 0015, after 0014.
"""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BATCH = 1000

RECIPIENTS = sa.table(
    "recipients",
    *(sa.column(name) for name in ("recipient_id", "key", "erased_at")),
    sa.column("id", sa.Uuid()),
)
LISTS = sa.table("recipient_lists", sa.column("columns", sa.JSON()), sa.column("id_column", sa.String()))


def upgrade() -> None:
    op.add_column("recipient_lists", sa.Column("id_column", sa.String(length=128), nullable=True))
    op.add_column("recipient_lists", sa.Column("reading", sa.JSON(), nullable=True))
    op.add_column("images", sa.Column("prompt_tokens", sa.JSON(), nullable=True))
    op.add_column("assets", sa.Column("original", sa.JSON(), nullable=True))
    is_named = sa.cast(LISTS.c.columns, sa.Text).like('%"recipient_id"%')
    op.execute(LISTS.update().where(is_named).values(id_column="recipient_id"))
    _rewrite_keys()


def downgrade() -> None:
    op.drop_column("assets", "original")
    op.drop_column("images", "prompt_tokens")
    op.drop_column("recipient_lists", "reading")
    op.drop_column("recipient_lists", "id_column")


def _rewrite_keys() -> None:
    """Have the keys of all ids but e-mail addresses keep their capitals, so that their recipients are still found."""
    columns, connection, last = RECIPIENTS.c, op.get_bind(), None
    differ = (columns.key != columns.recipient_id, columns.erased_at.is_(None))
    while True:
        query = sa.select(columns.id, columns.recipient_id, columns.key).where(*differ)
        query = query if last is None else query.where(columns.id > last)
        rows = connection.execute(query.order_by(columns.id).limit(BATCH)).all()
        for row in rows:
            if (key := _build_key(row.recipient_id)) != row.key:
                connection.execute(RECIPIENTS.update().where(columns.id == row.id).values(key=key))
        if len(rows) < BATCH:
            return
        last = rows[-1].id


def _build_key(recipient_id: str) -> str:
    text = unicodedata.normalize("NFC", recipient_id)
    name, _, host = text.rpartition("@")
    return unicodedata.normalize("NFC", text.casefold()) if name and host else text
