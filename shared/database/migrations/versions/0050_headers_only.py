"""Objects whose header carries the dose can be kept without their bulk data."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

_COLUMNS = {
    "nodes": "retrieve_content",
    "retrieves": "content",
    "retrieve_objects": "content",
    "stored_objects": "content",
    "handover_objects": "content",
}


def upgrade() -> None:
    for table, name in _COLUMNS.items():
        op.add_column(table, sa.Column(name, sa.String(length=8), server_default="whole", nullable=False))


def downgrade() -> None:
    for table, name in _COLUMNS.items():
        op.drop_column(table, name)
