"""Retrieves count the objects that were announced, and that are not to be requested after all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    fewer = sa.Column("fewer_than_announced", sa.Integer(), nullable=False, server_default="0")
    op.add_column("retrieves", fewer)


def downgrade() -> None:
    op.drop_column("retrieves", "fewer_than_announced")
