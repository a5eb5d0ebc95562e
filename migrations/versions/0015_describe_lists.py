"""Keep how each list and each asset was read.

Revision 0015, after 0014.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

LISTS = sa.table("recipient_lists", sa.column("columns", sa.JSON()), sa.column("id_column", sa.String()))


def upgrade() -> None:
    op.add_column("recipient_lists", sa.Column("id_column", sa.String(length=128), nullable=True))
    op.add_column("recipient_lists", sa.Column("reading", sa.JSON(), nullable=True))
    op.add_column("images", sa.Column("prompt_tokens", sa.JSON(), nullable=True))
    op.add_column("assets", sa.Column("original", sa.JSON(), nullable=True))
    is_named = sa.cast(LISTS.c.columns, sa.Text).like('%"recipient_id"%')
    op.execute(LISTS.update().where(is_named).values(id_column="recipient_id"))


def downgrade() -> None:
    op.drop_column("assets", "original")
    op.drop_column("images", "prompt_tokens")
    op.drop_column("recipient_lists", "reading")
    op.drop_column("recipient_lists", "id_column")
