"""Keep what recognises a picture, whether it was signed, and how long things are kept for whom.

Revision 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEPT = ("image_days", "asset_days", "prompt_days", "webhook_days")


def upgrade() -> None:
    for name in KEPT:
        op.add_column("api_keys", sa.Column(name, sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("prompt_erased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_jobs_worded",
        "jobs",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("prompt_erased_at IS NULL AND finished_at IS NOT NULL"),
        sqlite_where=sa.text("prompt_erased_at IS NULL AND finished_at IS NOT NULL"),
    )
    op.add_column("images", sa.Column("signed", sa.Boolean(), nullable=True))
    op.create_index(
        "ix_images_kept",
        "images",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("storage_key IS NOT NULL"),
        sqlite_where=sa.text("storage_key IS NOT NULL"),
    )
    op.create_table(
        "fingerprints",
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("shape", sa.BigInteger(), nullable=False),
        sa.Column("look", sa.LargeBinary(), nullable=False),
        *(sa.Column(f"band{number}", sa.Integer(), nullable=False) for number in range(4)),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_fingerprints_image_id_images")),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_fingerprints")),
    )
    for number in range(4):
        op.create_index(f"ix_fingerprints_band{number}", "fingerprints", ["owner", f"band{number}"], unique=False)


def downgrade() -> None:
    op.drop_table("fingerprints")
    op.drop_index("ix_images_kept", "images")
    op.drop_index("ix_jobs_worded", "jobs")
    for table, columns in (("images", ("signed",)), ("jobs", ("prompt_erased_at",)), ("api_keys", KEPT)):
        with op.batch_alter_table(table) as batch_op:
            for name in columns:
                batch_op.drop_column(name)
