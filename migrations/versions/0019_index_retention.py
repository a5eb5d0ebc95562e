"""Index what retention and the collection of leftover objects look for.

Revision 0019, after 0018. Nothing but indexes, so that it can be run again if it is interrupted.
"""

from alembic import op
from sqlalchemy import text

from migrations.indexes import create_index

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_images_kept_of_owner": ("images", ("owner", "created_at"), "storage_key IS NOT NULL"),
    "ix_images_half_erased": ("images", ("id",), "status = 'erased' AND storage_key IS NOT NULL"),
    "ix_jobs_worded_of_key": (
        "jobs",
        ("key_id", "finished_at"),
        "prompt_erased_at IS NULL AND finished_at IS NOT NULL",
    ),
    "ix_attempts_uncollected": (
        "attempts",
        ("job_id", "number"),
        "collected_at IS NULL AND outcome <> 'running' AND outcome <> 'succeeded'",
    ),
    "ix_quarantined_images_uncollected": ("quarantined_images", ("image_id",), "collected_at IS NULL"),
}


def upgrade() -> None:
    for name, (table, columns, where) in INDEXES.items():
        create_index(name, table, columns, postgresql_where=text(where), sqlite_where=text(where))


def downgrade() -> None:
    for name, (table, _, _) in INDEXES.items():
        op.drop_index(name, table_name=table)
