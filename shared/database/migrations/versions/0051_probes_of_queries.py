"""One task of a query finds out whether its node names any study at all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    token = sa.Column("probe_token", sa.String(length=64), nullable=False, server_default="")
    op.add_column("queries", token)
    op.add_column("queries", sa.Column("names_study", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("queries", "names_study")
    op.drop_column("queries", "probe_token")
