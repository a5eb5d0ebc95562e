"""Create the table of assets: pictures that owners hand in for jobs to start from.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("storage_key", sa.String(length=512), nullable=False),
        sa.Column(
            "verdict",
            sa.Enum(
                "pass", "review", "block", name="verdict", native_enum=False, create_constraint=True, length=16
            ),
            nullable=True,
        ),
        sa.Column("safety", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assets")),
    )
    op.create_index("ix_assets_owner", "assets", ["owner", "id"], unique=False)
    op.create_index("ix_assets_expires_at", "assets", ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_assets_expires_at", table_name="assets")
    op.drop_index("ix_assets_owner", table_name="assets")
    op.drop_table("assets")
