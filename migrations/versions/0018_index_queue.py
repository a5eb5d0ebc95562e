"""Index the queue and the review, so that a long one costs no more than a short one.

Revision 0018, after 0017. The indexes are created before the one that they replace is dropped: presses go on claiming.
"""

from sqlalchemy import text

from migrations.indexes import create_index, drop_index

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

IS_QUEUED = text("status = 'queued'")
CREATED = {
    "ix_jobs_model": ["model", "priority", "fair_tag", "id", "due_at"],
    "ix_jobs_lane": ["lane", "priority", "fair_tag", "id", "due_at"],
    "ix_jobs_front": ["priority", "fair_tag"],
    "ix_jobs_queued": ["id"],
}
REPLACED = {"ix_jobs_due": ["model", "priority", "fair_tag", "id"]}


REVIEWED = "ix_quarantined_images_list"


def upgrade() -> None:
    _replace_indexes(CREATED, REPLACED)
    create_index(REVIEWED, "quarantined_images", ["state", "image_id"])


def downgrade() -> None:
    drop_index(REVIEWED, "quarantined_images")
    _replace_indexes(REPLACED, CREATED)


def _replace_indexes(created: dict[str, list[str]], dropped: dict[str, list[str]]) -> None:
    for name, columns in created.items():
        create_index(name, "jobs", columns, postgresql_where=IS_QUEUED, sqlite_where=IS_QUEUED)
    for name in dropped:
        drop_index(name, "jobs")
