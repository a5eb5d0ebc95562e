"""Keep pictures for review, a policy with each key, and the stamp of unchecked pictures.

Revision 0008, after 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

VERDICTS = "'pass', 'review', 'block'"
CHECKED = "status NOT IN ('delivered', 'blurred') OR verdict IN ('pass', 'review')"
RELEASED = " OR (verdict = 'block' AND released_at IS NOT NULL)"
UNCHECKED = " OR (verdict = 'unchecked' AND safety_mode = 'off')"
QUARANTINED = "status <> 'quarantined' OR (verdict = 'block' AND storage_key IS NULL AND released_at IS NULL)"

MOVES = """
    IF OLD.status <> NEW.status AND (OLD.status || ' ' || NEW.status) NOT IN (
        'delivered erased', 'blurred erased', 'blocked erased',
        'quarantined delivered', 'quarantined blocked', 'quarantined erased'
    ) THEN
        RAISE EXCEPTION 'image % may not go from % to %', OLD.id, OLD.status, NEW.status;
    END IF;
    IF (NEW.verdict, NEW.safety_mode) <> (OLD.verdict, OLD.safety_mode) THEN
        RAISE EXCEPTION 'the verdict on image % is final', OLD.id;
    END IF;
"""


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("safety", sa.JSON(), nullable=True))
    with op.batch_alter_table("images") as batch_op:
        mode = sa.Enum("on", "off", name="safetymode", native_enum=False, create_constraint=True, length=16)
        batch_op.add_column(sa.Column("safety_mode", mode, server_default="on", nullable=False))
        batch_op.add_column(sa.Column("released_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.drop_constraint(op.f("ck_images_delivered_was_checked"), type_="check")
        batch_op.create_check_constraint(op.f("ck_images_delivered_was_checked"), CHECKED + RELEASED + UNCHECKED)
        batch_op.create_check_constraint(op.f("ck_images_quarantined_has_no_object"), QUARANTINED)
    _allow_verdicts(f"{VERDICTS}, 'unchecked'")
    _create_tables()
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION guard_images_moves() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {MOVES} RETURN NEW; END $$"
        )
        op.execute(
            "CREATE TRIGGER guard_moves BEFORE UPDATE ON images FOR EACH ROW EXECUTE FUNCTION guard_images_moves()"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER guard_moves ON images")
        op.execute("DROP FUNCTION guard_images_moves()")
    for table in ("prompt_refusals", "reviews", "quarantined_images"):
        op.drop_table(table)
    _allow_verdicts(VERDICTS)
    with op.batch_alter_table("images") as batch_op:
        batch_op.drop_constraint(op.f("ck_images_quarantined_has_no_object"), type_="check")
        batch_op.drop_constraint(op.f("ck_images_delivered_was_checked"), type_="check")
        batch_op.drop_constraint(op.f("ck_images_safetymode"), type_="check")
        batch_op.create_check_constraint(
            op.f("ck_images_delivered_was_checked"), "status NOT IN ('delivered') OR verdict IN ('pass', 'review')"
        )
        batch_op.drop_column("released_at")
        batch_op.drop_column("safety_mode")
    with op.batch_alter_table("api_keys") as batch_op:
        batch_op.drop_column("safety")


def _allow_verdicts(verdicts: str) -> None:
    for table in ("images", "assets"):
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_constraint(op.f(f"ck_{table}_verdict"), type_="check")
            batch_op.create_check_constraint(op.f(f"ck_{table}_verdict"), f"verdict IN ({verdicts})")


def _create_tables() -> None:
    states = sa.Enum(
        "waiting",
        "released",
        "confirmed",
        "expired",
        name="quarantinestate",
        native_enum=False,
        create_constraint=True,
        length=16,
    )
    acts = sa.Enum(
        "previewed",
        "released",
        "confirmed",
        "expired",
        name="reviewact",
        native_enum=False,
        create_constraint=True,
        length=16,
    )
    op.create_table(
        "quarantined_images",
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("state", states, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_quarantined_images_image_id_images")),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_quarantined_images")),
    )
    op.create_index("ix_quarantined_images_state", "quarantined_images", ["state", "expires_at"], unique=False)
    op.create_index(op.f("ix_quarantined_images_owner"), "quarantined_images", ["owner"], unique=False)
    op.create_table(
        "reviews",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("act", acts, nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["quarantined_images.image_id"], name=op.f("fk_reviews_image_id_quarantined_images")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
    )
    op.create_index(op.f("ix_reviews_image_id"), "reviews", ["image_id"], unique=False)
    op.create_table(
        "prompt_refusals",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "owner", "category", name=op.f("pk_prompt_refusals")),
    )
