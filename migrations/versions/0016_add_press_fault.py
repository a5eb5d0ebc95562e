"""Add the error because of which a press takes no jobs.

Revision 0016, after 0015.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("presses", sa.Column("fault", sa.String(length=64), nullable=True))


def downgrade() -> None:
    op.drop_column("presses", "fault")
