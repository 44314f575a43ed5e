"""Priority of jobs, and how often they were asked again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0004"
branch_labels = None
depends_on = None

_JOBS = ("queries", "retrieves")


def upgrade() -> None:
    for table in _JOBS:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(
                sa.Column("priority", sa.String(length=16), nullable=False, server_default="interactive")
            )
            batch_op.add_column(sa.Column("round", sa.Integer(), nullable=False, server_default="0"))
            batch_op.add_column(sa.Column("asked_again", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    for table in reversed(_JOBS):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("asked_again")
            batch_op.drop_column("round")
            batch_op.drop_column("priority")
