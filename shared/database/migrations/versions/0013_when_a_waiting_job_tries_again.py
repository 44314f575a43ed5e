"""A job that waits says when it tries again and when it gives up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("queries", "retrieves"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True))
            batch_op.add_column(sa.Column("gives_up_at", sa.DateTime(timezone=True), nullable=True))
