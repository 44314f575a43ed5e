"""Notifications are written in the language of who gets them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    language = sa.Column("language", sa.String(length=8), nullable=False, server_default="en")
    op.add_column("notification_addresses", language)


def downgrade() -> None:
    op.drop_column("notification_addresses", "language")
