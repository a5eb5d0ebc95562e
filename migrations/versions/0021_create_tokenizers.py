"""Keep the tokenizers of models, and say how much of a list's prompts a model reads.

Revision 0021, after 0020.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tokenizers",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_tokenizers"),
    )
    op.add_column("models", sa.Column("text_encoders", sa.JSON(), nullable=True))
    op.add_column("recipient_lists", sa.Column("prompt_lengths", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("recipient_lists", "prompt_lengths")
    op.drop_column("models", "text_encoders")
    op.drop_table("tokenizers")
