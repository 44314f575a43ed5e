"""Limits of nodes, and what is used of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("nodes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("max_associations", sa.Integer(), nullable=False, server_default="4"))
        batch_op.add_column(sa.Column("requests_per_minute", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("hours", sa.String(length=200), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("time_zone", sa.String(length=64), nullable=False, server_default=""))

    op.create_table(
        "node_budgets",
        sa.Column("node_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("tokens_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("slowed_to", sa.Integer(), nullable=True),
        sa.Column("slowed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_node_budgets")),
    )
    op.create_table(
        "node_leases",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("worker", sa.String(length=128), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_node_leases")),
        sa.UniqueConstraint("token", name=op.f("uq_node_leases_token")),
    )
    with op.batch_alter_table("node_leases", schema=None) as batch_op:
        batch_op.create_index("ix_node_leases_node", ["node_id", "held"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("node_leases", schema=None) as batch_op:
        batch_op.drop_index("ix_node_leases_node")

    op.drop_table("node_leases")
    op.drop_table("node_budgets")
    with op.batch_alter_table("nodes", schema=None) as batch_op:
        batch_op.drop_column("time_zone")
        batch_op.drop_column("hours")
        batch_op.drop_column("requests_per_minute")
        batch_op.drop_column("max_associations")
