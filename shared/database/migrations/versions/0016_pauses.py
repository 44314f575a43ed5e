"""Jobs and nodes can be paused: by whom, when, and by which command."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("queries", "retrieves", "nodes"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("paused", sa.JSON(none_as_null=True), nullable=True))
            batch_op.add_column(sa.Column("pause_commands", sa.JSON(none_as_null=True), nullable=True))
