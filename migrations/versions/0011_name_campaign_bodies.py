"""Rename the column of a campaign's request body: ``wish`` is ``body``.

Revision 0011, after 0010.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE campaigns RENAME COLUMN wish TO body")


def downgrade() -> None:
    op.execute("ALTER TABLE campaigns RENAME COLUMN body TO wish")
