"""Create the sums of usage by hour and day, and tell which attempts are booked to them.

Revision 0020, after 0019. The clerk books the attempts that there are, in the background.
"""

import sqlalchemy as sa
from alembic import op

from migrations.indexes import create_index

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

OWNER_KEY = ("unit", "owner", "begins_at", "model", "key_id", "priority", "status", "outcome", "currency")
PRESS_KEY = ("unit", "begins_at", "press_id", "outcome", "currency")
TYPES: dict[str, sa.types.TypeEngine] = {
    "unit": sa.String(length=8),
    "owner": sa.String(length=64),
    "begins_at": sa.DateTime(timezone=True),
    "model": sa.String(length=64),
    "key_id": sa.Uuid(),
    "press_id": sa.Uuid(),
    "priority": sa.String(length=16),
    "status": sa.String(length=16),
    "outcome": sa.String(length=16),
    "currency": sa.String(length=3),
}
MEASURES: dict[str, sa.types.TypeEngine] = {
    "jobs": sa.Integer(),
    "attempts": sa.Integer(),
    "gpu_seconds": sa.Double(),
    "images": sa.Integer(),
    "delivered_seconds": sa.Double(),
    "overrun_seconds": sa.Double(),
    "amount": sa.BigInteger(),
}


def upgrade() -> None:
    # The index is created outside of a transaction: if that is interrupted, the tables are there when it is run again.
    if not sa.inspect(op.get_bind()).has_table("usage_sums"):
        _create_sums("usage_sums", OWNER_KEY)
        _create_sums("press_usage_sums", PRESS_KEY)
        op.add_column("attempts", sa.Column("is_booked", sa.Boolean(), server_default=sa.false(), nullable=False))
        op.add_column("attempts", sa.Column("booked_outcome", sa.String(length=16), nullable=True))
        op.add_column("attempts", sa.Column("booked_seconds", sa.Double(), nullable=True))
        if op.get_bind().dialect.name == "postgresql":
            # While its statistics say that many attempts are not booked, PostgreSQL reads the table, not the index.
            op.execute("ALTER TABLE attempts SET (autovacuum_analyze_scale_factor = 0.01)")
    create_index(
        "ix_attempts_unbooked",
        "attempts",
        ["started_at"],
        postgresql_where=sa.text("NOT is_booked"),
        sqlite_where=sa.text("is_booked = 0"),
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE attempts RESET (autovacuum_analyze_scale_factor)")
    op.drop_index("ix_attempts_unbooked", table_name="attempts")
    for name in ("booked_seconds", "booked_outcome", "is_booked"):
        op.drop_column("attempts", name)
    op.drop_table("press_usage_sums")
    op.drop_table("usage_sums")


def _create_sums(table: str, key: tuple[str, ...]) -> None:
    op.create_table(
        table,
        *(sa.Column(name, TYPES[name], nullable=False) for name in key),
        *(sa.Column(name, kind, nullable=False) for name, kind in MEASURES.items()),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{table}")),
    )
