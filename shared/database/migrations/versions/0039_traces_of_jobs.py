"""Jobs know the trace of their command."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0036"
branch_labels = None
depends_on = None

_JOBS = ("queries", "retrieves")


def upgrade() -> None:
    for table in _JOBS:
        op.add_column(table, sa.Column("trace_id", sa.String(length=32), nullable=True))
        op.add_column(table, sa.Column("trace", sa.JSON(none_as_null=True), nullable=True))
        op.create_index(f"ix_{table}_trace_id", table, ["trace_id"])


def downgrade() -> None:
    for table in _JOBS:
        op.drop_index(f"ix_{table}_trace_id", table_name=table)
        op.drop_column(table, "trace")
        op.drop_column(table, "trace_id")
