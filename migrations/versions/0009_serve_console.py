"""Serve the console: prints by owner in their order, and failures by themselves.

Revision 0009, after 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_images_owner", table_name="images")
    op.create_index("ix_images_owner", "images", ["owner", "id"])
    failed = sa.text("status = 'failed'")
    op.create_index("ix_jobs_failed", "jobs", ["id"], postgresql_where=failed, sqlite_where=failed)


def downgrade() -> None:
    op.drop_index("ix_jobs_failed", table_name="jobs")
    op.drop_index("ix_images_owner", table_name="images")
    op.create_index("ix_images_owner", "images", ["owner"])
