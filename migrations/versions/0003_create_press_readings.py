"""Create the readings of the presses' meters.

Revision 0003: an hourly row per press, so that a span of time can be told from the rest; and the energy it drew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("presses", sa.Column("energy_joules", sa.Double(), nullable=True))
    op.create_table(
        "press_readings",
        sa.Column("press_id", sa.Uuid(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("busy_seconds", sa.Double(), nullable=False),
        sa.Column("cpu_seconds", sa.Double(), nullable=False),
        sa.Column("overhead", sa.JSON(), nullable=False),
        sa.Column("energy_joules", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["press_id"], ["presses.id"], name=op.f("fk_press_readings_press_id_presses")),
        sa.PrimaryKeyConstraint("press_id", "read_at", name=op.f("pk_press_readings")),
    )


def downgrade() -> None:
    op.drop_table("press_readings")
    op.drop_column("presses", "energy_joules")
