"""Nodes are called with TLS, each with certificates of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_FILES = ("tls_ca", "tls_certificate", "tls_key")


def upgrade() -> None:
    op.add_column("nodes", sa.Column("tls", sa.String(length=16), server_default="off", nullable=False))
    for name in _FILES:
        op.add_column("nodes", sa.Column(name, sa.String(length=100), server_default="", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("nodes") as nodes:
        for name in ("tls", *_FILES):
            nodes.drop_column(name)
