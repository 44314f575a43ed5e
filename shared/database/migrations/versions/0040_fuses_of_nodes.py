"""A node is left alone for a while whose associations were attempted too often."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("node_budgets", sa.Column("fuse_blown_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "node_budgets", sa.Column("fuse_note", sa.String(length=400), server_default="", nullable=False)
    )


def downgrade() -> None:
    with op.batch_alter_table("node_budgets") as budgets:
        budgets.drop_column("fuse_note")
        budgets.drop_column("fuse_blown_until")
