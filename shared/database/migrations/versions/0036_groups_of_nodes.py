"""Nodes belong to groups, and users may be limited to some of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("nodes", sa.Column("node_group", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("users", sa.Column("node_groups", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("users", "node_groups")
    op.drop_column("nodes", "node_group")
