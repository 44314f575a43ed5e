"""What dose reports say."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "report_summaries",
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("unreadable", sa.String(length=32), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sop_instance_uid", name=op.f("pk_report_summaries")),
    )


def downgrade() -> None:
    op.drop_table("report_summaries")
