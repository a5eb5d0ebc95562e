"""Keep the strictest safety policy of the API keys that acted on a campaign.

Revision 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("safety", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("campaigns", "safety")
