"""Nodes are called by DICOMweb instead of DIMSE."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0042"
branch_labels = None
depends_on = None

_TEXTS = {
    "web_url": 500,
    "web_qido_url": 500,
    "web_wado_url": 500,
    "web_user": 128,
    "web_secret_file": 100,
    "web_token_url": 500,
    "web_scope": 500,
}
_CHOICES = {"protocol": "dimse", "web_authentication": "none"}


def upgrade() -> None:
    for name, default in _CHOICES.items():
        op.add_column("nodes", sa.Column(name, sa.String(length=16), server_default=default, nullable=False))
    for name, length in _TEXTS.items():
        op.add_column("nodes", sa.Column(name, sa.String(length=length), server_default="", nullable=False))
    op.add_column("nodes", sa.Column("web_timeout_s", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("nodes") as nodes:
        for name in (*_CHOICES, *_TEXTS, "web_timeout_s"):
            nodes.drop_column(name)
