"""Create the audit trail, and have the database refuse to change it.

Revision 0014, after 0013. An event may only be blanked (``before`` and ``after``), for an erasure, and deleted once it
is older than the shortest retention period.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

FIXED = ("id", "at", "owner", "key_id", "act", "object_kind", "object_id")
BLANKABLE = ("before", "after")
MESSAGE = "audit events are never changed"


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("act", sa.String(length=64), nullable=False),
        sa.Column("object_kind", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=64), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    op.create_index("ix_audit_events_owner", "audit_events", ["owner", "id"], unique=False)
    op.create_index("ix_audit_events_act", "audit_events", ["owner", "act", "id"], unique=False)
    op.create_index("ix_audit_events_key", "audit_events", ["key_id", "id"], unique=False)
    op.create_index("ix_audit_events_object", "audit_events", ["object_id", "id"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def downgrade() -> None:
    op.drop_table("audit_events")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION guard_audit_events_update()")
        op.execute("DROP FUNCTION guard_audit_events_delete()")


def _guard_postgresql() -> None:
    changed = [f'NEW."{name}" IS DISTINCT FROM OLD."{name}"' for name in FIXED]
    changed += [
        f'(NEW."{name}" IS NOT NULL AND NEW."{name}"::text IS DISTINCT FROM OLD."{name}"::text)' for name in BLANKABLE
    ]
    for event, refused, row in (
        ("update", " OR ".join(changed), "NEW"),
        ("delete", "OLD.at > now() - interval '30 days'", "OLD"),
    ):
        op.execute(
            f"CREATE FUNCTION guard_audit_events_{event}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF {refused} THEN RAISE EXCEPTION '{MESSAGE}'; END IF; RETURN {row}; END $$"
        )
        op.execute(
            f"CREATE TRIGGER guard_{event} BEFORE {event.upper()} ON audit_events "
            f"FOR EACH ROW EXECUTE FUNCTION guard_audit_events_{event}()"
        )


def _guard_sqlite() -> None:
    changed = [f'NEW."{name}" IS NOT OLD."{name}"' for name in FIXED]
    changed += [f'(NEW."{name}" IS NOT NULL AND NEW."{name}" IS NOT OLD."{name}")' for name in BLANKABLE]
    for event, refused in (("update", " OR ".join(changed)), ("delete", "OLD.at > datetime('now', '-30 days')")):
        op.execute(
            f"CREATE TRIGGER guard_audit_events_{event} BEFORE {event.upper()} ON audit_events "
            f"WHEN {refused} BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
        )
