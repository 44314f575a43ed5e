"""Jobs whose priority was raised, and orders that came before their job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("queries", "retrieves"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("raised", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "early_orders",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=16), nullable=False),
        sa.Column("command_id", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("requested_by", sa.String(length=128), server_default="", nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_early_orders")),
    )
    op.create_index("uq_early_orders_command_service", "early_orders", ["command_id", "service"], unique=True)
    op.create_index("ix_early_orders_job", "early_orders", ["job_id"])
    op.create_index(op.f("ix_early_orders_received_at"), "early_orders", ["received_at"])


def downgrade() -> None:
    op.drop_table("early_orders")
    for table in ("queries", "retrieves"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("raised")
