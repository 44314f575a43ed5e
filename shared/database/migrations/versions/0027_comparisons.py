"""Comparisons of a node with the store or a second node."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "comparisons",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("left_query", sa.String(length=64), nullable=False),
        sa.Column("right_query", sa.String(length=64), nullable=True),
        sa.Column("left_name", sa.String(length=64), nullable=False),
        sa.Column("right_name", sa.String(length=64), nullable=False),
        sa.Column("requested_by", sa.String(length=128), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparisons")),
    )
    op.create_index("ix_comparisons_requested", "comparisons", ["requested_at", "id"])


def downgrade() -> None:
    op.drop_table("comparisons")
