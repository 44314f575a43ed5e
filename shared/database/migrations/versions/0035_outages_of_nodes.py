"""Workers know of each other's vain tries to reach a node."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_TIMES = ("away_failed_at", "away_next_try_at", "away_trying_until")
_TEXTS = {"away_outcome": 32, "away_detail": 400}


def upgrade() -> None:
    op.add_column(
        "node_budgets", sa.Column("away_failures", sa.Integer(), server_default="0", nullable=False)
    )
    for name in _TIMES:
        op.add_column("node_budgets", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    for name, length in _TEXTS.items():
        column = sa.Column(name, sa.String(length=length), server_default="", nullable=False)
        op.add_column("node_budgets", column)


def downgrade() -> None:
    with op.batch_alter_table("node_budgets") as budgets:
        for name in ("away_failures", *_TIMES, *_TEXTS):
            budgets.drop_column(name)
