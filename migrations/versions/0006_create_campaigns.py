"""Create the tables of styles and campaigns.

Revision 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "draft",
                "validating",
                "ready",
                "proofing",
                "approved",
                "running",
                "paused",
                "held",
                "completed",
                "canceled",
                "expired",
                name="campaignstatus",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("held_reason", sa.String(length=64), nullable=True),
        sa.Column("wish", sa.JSON(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column(
            "priority",
            sa.Enum("interactive", "bulk", name="priority", native_enum=False, create_constraint=True, length=16),
            nullable=False,
        ),
        sa.Column("budget", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("reservation", sa.BigInteger(), nullable=True),
        sa.Column("quote", sa.JSON(), nullable=True),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("webhook_url", sa.String(length=2048), nullable=True),
        sa.Column("webhook_events", sa.JSON(), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_share", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("link_version", sa.Integer(), nullable=False),
        sa.Column("has_links", sa.Boolean(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("held >= 0 AND spent >= 0", name=op.f("ck_campaigns_sums")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
    )
    with op.batch_alter_table("campaigns", schema=None) as batch_op:
        batch_op.create_index("ix_campaigns_owner", ["owner", "id"], unique=False)
        batch_op.create_index("ix_campaigns_status", ["status", "start_at"], unique=False)

    op.create_table(
        "styles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_styles")),
        sa.UniqueConstraint("owner", "name", "version", name=op.f("uq_styles_owner_name_version")),
    )
    op.create_table(
        "recipient_lists",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "loading", "current", "dropped", name="liststatus", native_enum=False, create_constraint=True, length=16
            ),
            nullable=False,
        ),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("fed", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("approved_digest", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_recipient_lists_campaign_id_campaigns"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("campaign_id", "number", name=op.f("pk_recipient_lists")),
    )
    op.create_table(
        "recipients",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("recipient_id", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("arm", sa.String(length=64), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id", "list_number"],
            ["recipient_lists.campaign_id", "recipient_lists.number"],
            name=op.f("fk_recipients_campaign_id_list_number_recipient_lists"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipients")),
        sa.UniqueConstraint(
            "campaign_id", "list_number", "key", name=op.f("uq_recipients_campaign_id_list_number_key")
        ),
        sa.UniqueConstraint(
            "campaign_id", "list_number", "row", name=op.f("uq_recipients_campaign_id_list_number_row")
        ),
    )
    with op.batch_alter_table("recipients", schema=None) as batch_op:
        batch_op.create_index("ix_recipients_key", ["campaign_id", "key"], unique=False)

    op.create_table(
        "rejected_rows",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("list_number", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("errors", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id", "list_number"],
            ["recipient_lists.campaign_id", "recipient_lists.number"],
            name=op.f("fk_rejected_rows_campaign_id_list_number_recipient_lists"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("campaign_id", "list_number", "row", name=op.f("pk_rejected_rows")),
    )
    op.create_table(
        "prints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("recipient_pk", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("arm", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("original_id", sa.Uuid(), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "waiting",
                "ordered",
                "printed",
                "blocked",
                "failed",
                "canceled",
                "erased",
                name="printstatus",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("rerolls", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("image_id", sa.Uuid(), nullable=True),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("is_proof", sa.Boolean(), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_retryable", sa.Boolean(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_prints_campaign_id_campaigns"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["original_id"], ["prints.id"], name=op.f("fk_prints_original_id_prints")),
        sa.ForeignKeyConstraint(
            ["recipient_pk"], ["recipients.id"], name=op.f("fk_prints_recipient_pk_recipients"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prints")),
        sa.UniqueConstraint("recipient_pk", "index", name=op.f("uq_prints_recipient_pk_index")),
    )
    with op.batch_alter_table("prints", schema=None) as batch_op:
        batch_op.create_index("ix_prints_job", ["job_id"], unique=False)
        batch_op.create_index("ix_prints_original", ["original_id"], unique=False)
        batch_op.create_index("ix_prints_status", ["campaign_id", "status", "id"], unique=False)
        batch_op.create_index(
            "uq_prints_digest",
            ["campaign_id", "digest"],
            unique=True,
            postgresql_where=sa.text("original_id IS NULL AND digest IS NOT NULL"),
            sqlite_where=sa.text("original_id IS NULL AND digest IS NOT NULL"),
        )

    with op.batch_alter_table("images", schema=None) as batch_op:
        batch_op.add_column(sa.Column("overrun_seconds", sa.Double(), nullable=False, server_default=sa.text("0")))
        batch_op.add_column(sa.Column("colours", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("palette_score", sa.Double(), nullable=True))

    with op.batch_alter_table("presses", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rates", sa.JSON(), nullable=True))

    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("palette", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("max_amount", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("images") as images:
        for column in ("palette_score", "colours", "overrun_seconds"):
            images.drop_column(column)
    with op.batch_alter_table("presses") as presses:
        presses.drop_column("rates")
    with op.batch_alter_table("jobs") as jobs:
        for column in ("max_amount", "palette"):
            jobs.drop_column(column)
    for table in ("prints", "recipients", "rejected_rows", "recipient_lists", "campaigns", "styles"):
        op.drop_table(table)
